#!/usr/bin/env bash
# The whole comparison of protocol.md, from nothing to its records. Read it from top to bottom; repeat it after a stop, and it goes on where it was.
#
#   leaderboard/reproduce.sh                    # everything: days on two cores; not yet run to its end on an accelerator
#   leaderboard/reproduce.sh --toy              # the same way in minutes: one persona, three recipes, two steps a phase, two items of each task
#   JOBS=12 DEVICE=cuda leaderboard/reproduce.sh train evaluate     # only these steps, twelve jobs at once
#
# Steps: fetch train evaluate collect tables. Settings: OUT, MODEL, PACK, JOBS, DEVICE, DTYPE, PERSONAS, FEW, SEEDS, TASKS, LIMIT,
# ANCHORS, RECORDS. Paths are relative to the repository. Records are collected under OUT, beside those that are committed.
set -euo pipefail
cd "$(dirname "$0")/.."

TOY=""; STEPS=()
for word in "$@"; do [ "$word" = --toy ] && TOY=1 || STEPS+=("$word"); done
[ ${#STEPS[@]} -gt 0 ] || STEPS=(fetch train evaluate collect tables)

OUT=${OUT:-runs/leaderboard${TOY:+-toy}}
JOBS=${JOBS:-1}
DEVICE=${DEVICE:-cpu}
DTYPE=${DTYPE:-bfloat16}
PERSONAS=${PERSONAS:-${TOY:+nedda}}
PERSONAS=${PERSONAS:-betsin fulke ivo nedda osmer zilla}
FEW=${FEW:-${TOY:+nedda}}                    # personas of the ablations and of further seeds
FEW=${FEW:-nedda osmer}
SEEDS=${SEEDS:-${TOY:+1}}
SEEDS=${SEEDS:-1 2 3}
TASKS=${TASKS:-persbench}
LIMIT=${LIMIT:-${TOY:+2}}
ANCHORS=${ANCHORS:-$OUT/anchors}             # of the untuned model; leaderboard/README.md has stored ones
RECORDS=${RECORDS:-$OUT/collected}
[ ! "$RECORDS" -ef leaderboard/records ] || { echo "RECORDS is the board itself: name another folder, and submit from there" >&2; exit 2; }
RECIPES=(persllm stylized stylized-matched persllm-sft)
ABLATIONS=(no-analysis no-anti-induction no-temporal no-general)
[ -z "$TOY" ] || { RECIPES=(persllm stylized); ABLATIONS=(no-temporal); }
SEEDED=(stylized persllm)                    # recipes that are trained with every seed
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
# Jobs share the cores: two processes of one thread do more than one of two.
if [ "$DEVICE" = cpu ]; then export OMP_NUM_THREADS=$(( $(nproc) > JOBS ? $(nproc) / JOBS : 1 )); fi

# Run the commands on standard input, JOBS at a time; one that fails is named, and the others go on.
together() { tr '\n' '\0' | xargs -0 -r -n 1 -P "$JOBS" bash -c 'eval "$0" || { echo "failed: $0" >&2; exit 1; }'; }

command_of() { printf '%q ' "$@"; echo; }

train_command() { # recipe persona seed
  command_of persbench train --recipe "$1" --persona "$2" --seed "$3" --device "$DEVICE" --out "$OUT/adapters/$1/seed$3" \
    ${MODEL:+--base "$MODEL"} ${PACK:+--pack "$PACK"} ${TOY:+--max-steps 2}
}

run_command() { # folder persona systems
  command_of persbench run --tasks "$TASKS" --personas "$2" --systems "$3" --device "$DEVICE" --dtype "$DTYPE" --anchors "$ANCHORS" \
    --out "$OUT/runs/$1/$2" ${MODEL:+--model "$MODEL"} ${PACK:+--pack "$PACK"} ${LIMIT:+--limit "$LIMIT"}
}

# Recipe, persona and seed of every adapter, one a line.
adapters() {
  for recipe in "${RECIPES[@]}"; do for persona in $PERSONAS; do echo "$recipe $persona 1"; done; done
  for persona in $FEW; do
    for recipe in "${ABLATIONS[@]}"; do echo "$recipe $persona 1"; done
    for seed in $SEEDS; do [ "$seed" = 1 ] || for recipe in "${SEEDED[@]}"; do echo "$recipe $persona $seed"; done; done
  done
}

step_fetch() { persbench model fetch; }

step_train() { adapters | while read -r recipe persona seed; do train_command "$recipe" "$persona" "$seed"; done | together; }

step_evaluate() {
  # The untuned model first: it stores the anchors that every other cell of the persona is scored against.
  for persona in $PERSONAS; do run_command vanilla "$persona" vanilla; done | together
  {
    for system in prompt icl rag; do for persona in $PERSONAS; do run_command "$system" "$persona" "$system"; done; done
    adapters | while read -r recipe persona seed; do
      run_command "$recipe-seed$seed" "$persona" "$recipe=$OUT/adapters/$recipe/seed$seed"
    done
    for persona in $PERSONAS; do
      run_command persllm-profile "$persona" "persllm+profile=$OUT/adapters/persllm/seed1"
    done
  } | together
  persbench run --tasks "$TASKS" --systems sanity ${PACK:+--pack "$PACK"} --out "$OUT/runs/sanity"
}

# Records of seed 1 into one folder, those of other seeds beside it.
step_collect() {
  for folder in "$OUT"/runs/*; do
    case "${folder##*/}" in
      *-seed1) target=$RECORDS/seed1/records ;;
      *-seed*) target=$RECORDS/other-seeds/seed${folder##*-seed}/records ;;
      *) target=$RECORDS/seed1/records ;;
    esac
    mkdir -p "$target"
    find "$folder" -path '*/records/*.json' | while read -r record; do
      gzip -9n < "$record" > "$target/$(basename "$record").gz"     # -n: the same bytes whenever it is done
    done
  done
}

step_tables() {
  persbench report table "$RECORDS/seed1" --format markdown
  persbench report compare "$RECORDS/seed1" --baseline prompt
}

for step in "${STEPS[@]}"; do
  echo "== $step" >&2
  "step_$step"
done
