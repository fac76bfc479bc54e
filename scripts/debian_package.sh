# Sourced by the scripts that fetch pictures from a Debian package.

# Makes the current folder hold this package's file, checked by its SHA-256. Needs Debian's apt-get; a file that is
# there already is not fetched again.
fetch_package() { # NAME VERSION FILE SHA256 MEGABYTES
    check() { echo "$4  $3" | sha256sum --check --status 2>/dev/null; }
    check "$@" && return
    echo "fetching $1 $2 ($5 MB)" >&2
    apt-get download --quiet "$1=$2" >&2
    check "$@" || {
        echo "error: $PWD/$3 is not the file this project knows (its SHA-256 differs)" >&2
        exit 1
    }
}
