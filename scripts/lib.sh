# shellcheck shell=bash
# Shared by the scripts here: source it, never run it.
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
MAJOR=${PG_MAJOR:-15}
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$MAJOR/bin/pg_config}

say() { printf '%s\n' "$@"; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# The version that the sources have.
ark_version() { sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$TOP/pg_ark.control"; }

# Runs a command as root: directly, or by sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "needs root for: $* (run it as root, or install sudo)"
    fi
}

# Where what takes long to make is kept from one run to the next.
cache_directory() { echo "${PG_ARK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pg_ark}"; }

# Where Microsoft's emulator of Azure is, which comes by npm (scripts/install-deps stores).
AZURITE=azurite@3.37.0
azurite_directory() { echo "$(cache_directory)/${AZURITE/@/-}"; }

# PostgreSQL refuses to run as root. Prints the user that servers run as: postgres when root
# started us, else the caller.
server_user() {
    if [ "$(id -u)" = 0 ]; then
        echo "${PG_ARK_USER:-postgres}"
    else
        id -un
    fi
}

# Runs a command as the server user, with no PG* and no privileges left over from root.
as_server_user() {
    local drop=() name
    for name in $(compgen -e PG | grep -v '^PG_ARK_' || true); do drop+=(-u "$name"); done
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid "$(server_user)" --regid "$(id -g "$(server_user)")" --init-groups \
            env "${drop[@]}" HOME="${WORK:-/tmp}" USER="$(server_user)" "$@"
    else
        # In a user namespace the caller has capabilities there; a server has none.
        setpriv --inh-caps=-all --ambient-caps=-all env "${drop[@]}" "$@"
    fi
}

# Copies the sources (what git knows and what is new, nothing ignored) into directory $1, so that the
# server user can read them wherever the clone is, and no build writes into the clone.
copy_sources() {
    mkdir -p "$1"
    local git=(git -c "safe.directory=$TOP" -C "$TOP")
    if command -v git >/dev/null && "${git[@]}" rev-parse --git-dir >/dev/null 2>&1; then
        "${git[@]}" ls-files -z -co --exclude-standard |
            (cd "$TOP" && while IFS= read -r -d '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done) |
            tar -C "$TOP" --null -T - -cf - | tar -C "$1" -xf -
    else
        tar -C "$TOP" --exclude=./build --exclude='*.o' --exclude='*.d' --exclude='*.so' -cf - . | tar -C "$1" -xf -
    fi
}

# The address of the Debian archive that apt uses here.
debian_archive() {
    local address
    # shellcheck disable=SC2016  # apt expands this
    address=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/\?$' | head -n 1) || true
    [ -n "$address" ] || die "apt's sources name no Debian archive"
    echo "${address%/}"
}

# Adds up the first group of a pattern over the lines of a log.
number() { sed -nE "s/.*$2.*/\1/p" "$1" | awk '{ n += $1 } END { print n + 0 }'; }

# What prove says in a log: "passed failed".
count_prove() {
    local all bad
    all=$(number "$1" '^Files=[0-9]+, Tests=([0-9]+)')
    bad=$(number "$1" 'Failed ([0-9]+)\/[0-9]+ subtests')
    if [ "$bad" = 0 ] && ! grep -q '^Result: PASS' "$1"; then bad=1; fi
    [ "$all" -ge "$bad" ] || all=$bad
    echo $((all - bad)) "$bad"
}

# The end of a check: "passed failed" for who adds up (PG_ARK_TOTALS), or the closing line. Fails where a test has.
close_with() {
    if [ -n "${PG_ARK_TOTALS:-}" ]; then echo "$1 $2" >>"$PG_ARK_TOTALS"; else say "$1 passed, $2 failed"; fi
    [ "$2" = 0 ]
}
