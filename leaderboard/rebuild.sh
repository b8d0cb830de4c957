#!/usr/bin/env bash
# Every committed table, figure and page from the committed records alone, byte for byte: no model, no network, one minute.
#
#   leaderboard/rebuild.sh            # into leaderboard/: RESULTS.md, tables/, figures/, site/
#   leaderboard/rebuild.sh FOLDER     # the same beside it, to compare (a test does)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
records=$here/records
export LC_ALL=C.UTF-8 COLUMNS=160

mkdir -p "$out/tables"
python "$here/results.py" "$records" --out "$out/RESULTS.md"
persbench report table "$records" --format markdown > "$out/tables/board.md"
persbench report compare "$records" --baseline prompt > "$out/tables/compare.md"
persbench report confusion "$records" > "$out/tables/confusion.md"
for name in main ablation; do
  persbench paper "$name" "$records" --out "$out/tables/$name.md" --out "$out/tables/$name.tex" --out "$out/tables/$name.csv"
done
talks=$out/tables/conversations
persbench report conversations "$here" --out "$talks.md" --out "$talks.csv" --page "$talks.html"
persbench report figures "$records" --formats png,svg --out "$out/figures"
persbench leaderboard build "$records" --out "$out/site"
