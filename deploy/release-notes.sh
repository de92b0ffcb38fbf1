#!/usr/bin/env bash
# Prints the notes of a release: its section of FILE, without the heading. FILE defaults to CHANGELOG.md.
#
#   deploy/release-notes.sh VERSION [FILE]
#
# The heading must have the version and the day: ## 1.2.3 (2026-11-24)
set -euo pipefail

if (($# < 1 || $# > 2)); then
  echo "usage: $0 VERSION [FILE]" >&2
  exit 64
fi
version=$1
file=${2-${BASH_SOURCE%/*}/../CHANGELOG.md}

heading=$(awk -v version="$version" '$1 == "##" && $2 == version' "$file")
if ! [[ $heading =~ \ \(20[0-9]{2}-[01][0-9]-[0-3][0-9]\)$ ]]; then
  echo "$file: no heading ## $version with the day of the release: ${heading:-none}" >&2
  exit 1
fi
notes=$(awk -v version="$version" '$1 == "##" { inside = $2 == version; next } inside' "$file")
if [[ ! $notes =~ [^[:space:]] ]]; then
  echo "$file: nothing below $heading" >&2
  exit 1
fi
# Removes the empty lines below the heading.
sed '/./,$!d' <<<"$notes"
