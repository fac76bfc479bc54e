#!/usr/bin/env bash
# Fetches Tux Paint's stamps (Debian's package tuxpaint-stamps-default, GPL-2: photographs and drawings in folders by
# subject, many with transparency, of very different sizes), checks them, and writes stamps.csv beside them: path and
# label of eight subjects. Prints the table's path. Needs Debian's apt-get and dpkg-deb; runs offline the second time.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/debian_package.sh"

version=2022.06.04-1
deb=tuxpaint-stamps-default_${version}_all.deb
deb_sha256=6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34

cache=${XCEPTION_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xception}/stamps
mkdir -p "$cache"
cd "$cache"

fetch_package tuxpaint-stamps-default "$version" "$deb" "$deb_sha256" 160
if [ ! -f stamps.csv ]; then
    rm -rf unpacked
    dpkg-deb -x "$deb" unpacked
    stamps=unpacked/usr/share/tuxpaint/stamps
    {
        echo path,label
        for subject in animals/birds animals/insects animals/mammals food household plants town vehicles; do
            # Names with commas or quotes would need quoting; there are none.
            find "$stamps/$subject" -name '*.png' | LC_ALL=C sort | sed "s|\$|,${subject##*/}|"
        done
    } >stamps.csv.part
    mv stamps.csv.part stamps.csv
fi
echo "$cache/stamps.csv"
