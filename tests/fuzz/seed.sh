#!/usr/bin/env bash
# Fills tests/fuzz/corpus (not committed) from the small captures and the parser's test queries;
# with FLOWSIFT=PROGRAM from compressed files of a store, too.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p corpus/capfile corpus/decode corpus/frames corpus/lang

# Their names are unique but for the folder, which becomes part of the name.
find ../captures -type f -size -20k ! -name '*.tsv' ! -name '*.md' | while read -r file; do
  name=$(tr / _ <<<"${file#../captures/}")
  cp "$file" "corpus/capfile/$name"
  # Link type 1, then the layer, then the first frame of a pcap file (headers of 24 and 16 bytes).
  case $name in
    *.pcap | *.cap) { printf '\0\001\0'; tail -c +41 "$file"; } >"corpus/decode/$name" ;;
  esac
done

# Compressed files as a store has them, made by the program that is given.
if [ -n "${FLOWSIFT:-}" ]; then
  store=$(mktemp -d)
  trap 'rm -r "$store"' EXIT
  "$FLOWSIFT" import --compress zstd --store "$store" ../captures
  find "$store" -name '*.pcap.zst' -size -100k -exec cp -t corpus/frames {} +
fi

number=0
grep -v '^#' ../../agent/src/lang/testdata/queries.txt | cut -f 3- | while read -r query; do
  number=$((number + 1))
  printf '%s' "$query" >"corpus/lang/query-$number"
done
