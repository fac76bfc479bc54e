#!/usr/bin/env bash
# Fetches the Open Clip Art Library (Debian's package openclipart-png, public domain: drawings in folders by subject),
# checks it, and writes clipart.csv beside it: path and label of 60 drawings of each of eight subjects. Prints the
# table's path. Needs Debian's apt-get and dpkg-deb; runs offline the second time.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/debian_package.sh"

version=1:0.18+dfsg-19
deb=openclipart-png_1%3a0.18+dfsg-19_all.deb
deb_sha256=f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02
pictures=60

cache=${XCEPTION_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xception}/clipart
mkdir -p "$cache"
cd "$cache"

fetch_package openclipart-png "$version" "$deb" "$deb_sha256" 131
if [ ! -f clipart.csv ]; then
    rm -rf unpacked
    dpkg-deb -x "$deb" unpacked
    png=unpacked/usr/share/openclipart/png
    {
        echo path,label
        for subject in animals buildings food office people plants tools transportation; do
            # Neighbours by name are often variants of one drawing: the chosen ones are spread over all. Names with
            # commas or quotes would need quoting, and are left out.
            find "$png/$subject" -name '*.png' | grep -v '[",]' | LC_ALL=C sort >names.part
            awk -v of="$(wc -l <names.part)" -v wanted=$pictures -v label="$subject" \
                'int(NR * wanted / of) > int((NR - 1) * wanted / of) { print $0 "," label }' names.part
        done
    } >clipart.csv.part
    rm names.part
    mv clipart.csv.part clipart.csv
fi
echo "$cache/clipart.csv"
