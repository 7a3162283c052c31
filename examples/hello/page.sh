#!/bin/sh
# Renders one text to one page, unless the cache has the page of exactly this text and renderer: page.sh TEXT PAGE
set -eu
key=$(cat "$1" render.awk | sha256sum | cut -c 1-16)
if [ -f "/cache/$key.html" ]; then
    echo "$1: unchanged, from the cache"
else
    awk -f render.awk "$1" > "/cache/$key.new"
    mv "/cache/$key.new" "/cache/$key.html"
    echo "$1: rendered, $(wc -c < "/cache/$key.html") bytes"
fi
cp "/cache/$key.html" "$2"
