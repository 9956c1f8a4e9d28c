# One image for every process of onhand; what it does is said by its command: `serve ingress`, `migrate`, and so on.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked && strip --strip-debug target/release/onhand

FROM debian:bookworm-slim
# curl asks the health pages.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/onhand onhand \
    && install --directory --owner onhand --mode 0700 /var/lib/onhand /var/lib/onhand/keys /var/lib/onhand/spool
COPY --from=build /src/target/release/onhand /usr/local/bin/onhand
USER onhand
ENTRYPOINT ["onhand"]
