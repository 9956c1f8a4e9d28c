//! What a listing may mean whose code is no SKU: one that is written like it, or that has its name. Only where there is but
//! one on both sides: nothing is guessed.

use std::collections::{BTreeMap, BTreeSet};

use values::{ListingId, ShopId, Sku};

use super::Mapping;
use crate::error::Error;
use crate::inventory::ListingSeen;
use crate::rows::{id, listing, sku};

/// A code of a listing, and the one SKU that is written like it.
pub(crate) type Like = (String, String);
/// Shop, name of a listing without code, and the one SKU of this name.
pub(crate) type Named = (i64, String, String);
/// Shop, product, variation, and code or name.
pub(crate) type Sold = (i64, i64, i64, String);

/// What is to be looked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Codes, each once.
    pub(crate) codes: Vec<String>,
    /// Shop and name, each once.
    pub(crate) names: Vec<(i64, String)>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Likeness {
    /// By code: none of the codes is a SKU itself.
    skus: BTreeMap<(ShopId, String), Sku>,
    /// By folded name.
    named: BTreeMap<(ShopId, String), Sku>,
    /// Listings with a stock of their own whose codes are written alike.
    codes: BTreeMap<(ShopId, String), BTreeSet<ListingId>>,
    /// Listings without a code, with a stock of their own, by folded name.
    names: BTreeMap<(ShopId, String), BTreeSet<ListingId>>,
}

/// A code, case and blanks aside; as the databases fold it.
fn folded(code: &str) -> String {
    code.replace(' ', "").to_ascii_lowercase()
}

/// A name, case and the blanks around it aside; as the databases fold it.
fn folded_name(name: &str) -> String {
    name.trim_matches(' ').to_ascii_lowercase()
}

/// Two codes that differ in case and blanks only, or not at all.
pub(crate) fn alike(one: &str, other: &str) -> bool {
    folded(one) == folded(other)
}

impl Likeness {
    /// Shop by shop what may be meant.
    pub(super) fn skus(&self) -> impl Iterator<Item = (ShopId, &Sku)> {
        self.skus.iter().chain(&self.named).map(|((shop, _), sku)| (*shop, sku))
    }

    /// A listing with a stock of its own.
    pub(super) fn note(&mut self, seen: &ListingSeen) {
        let (all, key) = match &seen.sku {
            Some(code) => (&mut self.codes, folded(code.as_str())),
            None => (&mut self.names, folded_name(&seen.name)),
        };
        all.entry((seen.shop, key)).or_default().insert(seen.listing);
    }

    /// The SKU that a listing means: that of its code; one written like it, or of its name if it has none, where nothing else
    /// can be meant.
    pub(super) fn meant(&self, seen: &ListingSeen) -> Option<Sku> {
        let shop = seen.shop;
        let is_alone = |all: &BTreeMap<(ShopId, String), BTreeSet<ListingId>>, key: String| {
            all.get(&(shop, key)).is_none_or(|listings| listings.iter().all(|other| *other == seen.listing))
        };
        if let Some(code) = &seen.sku {
            let like = self.skus.get(&(shop, code.as_str().to_owned()));
            let like = like.filter(|_| is_alone(&self.codes, folded(code.as_str())));
            Some(like.unwrap_or(code).clone())
        } else {
            let key = folded_name(&seen.name);
            let named = self.named.get(&(shop, key.clone()));
            named.filter(|_| is_alone(&self.names, key)).cloned()
        }
    }
}

impl Mapping {
    /// What is to be looked for: of listings that are to find a SKU, which those that have one are only if `anew`.
    pub(crate) fn wanted<'a>(&self, seen: impl IntoIterator<Item = &'a ListingSeen>, anew: bool) -> Wanted {
        let (mut codes, mut names) = (BTreeSet::new(), BTreeSet::new());
        for seen in seen {
            let own = super::own_holder(seen.listing);
            let stock = self.stocks.get(&values::StockId { shop: seen.shop, holder: own });
            let has_one = stock.is_some_and(|stock| stock.sku.is_some() && !stock.removed);
            if seen.holder != Some(own) || (has_one && !anew) {
                continue;
            }
            match &seen.sku {
                Some(code) => drop(codes.insert(code.as_str().to_owned())),
                None if folded_name(&seen.name).is_empty() => {}
                None => drop(names.insert((seen.shop.get(), seen.name.clone()))),
            }
        }
        Wanted { codes: codes.into_iter().collect(), names: names.into_iter().collect() }
    }

    /// Takes in the SKUs that codes are written like; shop and code of those listings whose likes are to be looked for.
    pub(crate) fn know_likes<'a>(
        &mut self,
        seen: impl IntoIterator<Item = &'a ListingSeen>,
        rows: Vec<Like>,
    ) -> Result<Vec<(i64, String)>, Error> {
        let likes = rows
            .into_iter()
            .map(|(code, like)| Ok((code, sku(&like)?)))
            .collect::<Result<BTreeMap<_, _>, Error>>()?;
        let mut found = BTreeSet::new();
        for seen in seen {
            let Some(code) = seen.sku.as_ref().map(Sku::as_str) else { continue };
            if let Some(like) = likes.get(code) {
                self.likeness.skus.insert((seen.shop, code.to_owned()), like.clone());
                found.insert((seen.shop.get(), code.to_owned()));
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Takes in the SKUs that have the names of listings; shop and name of these.
    pub(crate) fn know_named(&mut self, rows: Vec<Named>) -> Result<Vec<(i64, String)>, Error> {
        let mut found = Vec::new();
        for (shop, name, code) in rows {
            self.likeness.named.insert((id("shop", shop)?, folded_name(&name)), sku(&code)?);
            found.push((shop, name));
        }
        Ok(found)
    }

    /// Takes in the listings whose codes are written alike.
    pub(crate) fn know_codes(&mut self, rows: Vec<Sold>) -> Result<(), Error> {
        for (shop, product, variation, code) in rows {
            let key = (id("shop", shop)?, folded(&code));
            self.likeness.codes.entry(key).or_default().insert(listing(product, variation)?);
        }
        Ok(())
    }

    /// Takes in the listings that have the same name and no code.
    pub(crate) fn know_names(&mut self, rows: Vec<Sold>) -> Result<(), Error> {
        for (shop, product, variation, name) in rows {
            let key = (id("shop", shop)?, folded_name(&name));
            self.likeness.names.entry(key).or_default().insert(listing(product, variation)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_blanks_are_put_aside_and_nothing_else() {
        for (one, other, are) in [
            ("TEE-RED", "tee-red", true),
            ("TEE RED", "TeeRed", true),
            ("TEE-RED", "TEE-RED", true),
            ("TEE-RED", "TEE_RED", false),
            ("TEE-1", "TEE-01", false),
            ("Ä", "ä", false),
        ] {
            assert_eq!(alike(one, other), are, "{one} {other}");
        }
        assert_eq!(folded_name("  Red Tee "), "red tee");
    }
}
