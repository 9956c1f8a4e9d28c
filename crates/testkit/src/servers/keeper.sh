# Keeps one server for as long as somebody holds a lock on `users`, and ends it then, however its users ended.
#
#   keeper HOME RUN LINGER SIGNAL
#
# HOME/users   locked (shared) by each process that uses the server; the kernel frees it, whatever kills the process
# HOME/keeper  locked by the keeper; one that finds it locked goes at once, for the server is kept already
# HOME/starting is locked by a keeper until HOME/current is right
# HOME/current names the folder of the server that runs
# RUN          folder of the server to start; it holds start.sh and launch.sh
# LINGER       seconds that the server stays without a user; `own`: none, and HOME goes with it
# SIGNAL       ends the server; after ten seconds it is killed
#
# Its standard output ends when HOME/current is right.
home=$1 run=$2 linger=$3 signal=$4
trap '' HUP INT QUIT

# One after the other, so that who finds a keeper also finds what that has started.
exec 7>>"$home/starting"
flock -x 7
exec 9>>"$home/keeper"
flock -n 9 || { rm -rf "$run"; exit 0; }

# Its first process is a shell that waits in the server's folder: a number taken over by another process is not it.
lives() {
    [ "$(readlink "/proc/$1/cwd")" = "$2" ]
}

end() {
    pid=$(cat "$1/pid") && lives "$pid" "$1" || return 0
    kill -s CONT -- "-$pid"
    kill -s "$signal" -- "-$pid"
    tries=100
    while lives "$pid" "$1" && [ "$tries" -gt 0 ]; do
        sleep 0.1
        tries=$((tries - 1))
    done
    kill -s KILL -- "-$pid"
}

# Left by a keeper that was killed.
if [ -f "$home/current" ]; then
    left=$(cat "$home/current")
    end "$left"
    rm -rf "$left" "$home/current"
fi

setsid sh "$run/launch.sh" "$run" >/dev/null 7>&- 9>&- &
tries=500
until [ -f "$run/pid" ]; do
    [ "$tries" -gt 0 ] || exit 1
    sleep 0.02
    tries=$((tries - 1))
done
echo "$run" >"$home/current.new"
mv "$home/current.new" "$home/current"
exec 7>&- >/dev/null

if [ "$linger" = own ]; then
    flock -x "$home/users" true 9>&-
    end "$run"
    rm -rf "$home"
    exit 0
fi

while :; do
    flock -x "$home/users" true 9>&-
    sleep "$linger" 9>&-
    exec 8>>"$home/users"
    flock -n -x 8 && break
    exec 8>&-
done
end "$run"
rm -rf "$run" "$home/current"
# New users wait for `users`; what they find then must be that there is no keeper.
exec 9>&-
