#!/bin/sh
# Checks that every page is whole and that every link leads to a page: test.sh FOLDER
set -eu
cd "$1"
sha256sum -c SHA256SUMS
for page in *.html; do
    grep -q '<h1>..*</h1>' "$page" || { echo "$page has no title"; exit 1; }
    grep -q '</html>' "$page" || { echo "$page is cut off"; exit 1; }
    for link in $(sed -n 's/.*href="\([^"]*\)".*/\1/p' "$page"); do
        [ -f "$link" ] || { echo "$page links to $link, which is not there"; exit 1; }
    done
done
echo "$(ls *.html | wc -l) pages, all links good"
