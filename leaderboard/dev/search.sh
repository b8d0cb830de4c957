#!/usr/bin/env bash
# The search for the settings of `persllm`, on the dev split alone: training files only, no test file is read. See ../protocol.md.
#
#   JOBS=2 leaderboard/dev/search.sh                # two personas; hours on two cores
#   JOBS=12 DEVICE=cuda leaderboard/dev/search.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
OUT=${OUT:-runs/dev}; JOBS=${JOBS:-1}; DEVICE=${DEVICE:-cpu}; DTYPE=${DTYPE:-bfloat16}; PERSONAS=${PERSONAS:-nedda osmer}
EXTRA=${EXTRA:-}                                      # further words for `persbench train`, such as --max-steps 2
RATES=${RATES:-5.0e-4 1.0e-3 2.0e-3 4.0e-3}; REPEATS=${REPEATS:-3 6}; PREFERENCE_RATES=${PREFERENCE_RATES:-2.0e-5 5.0e-5 1.5e-4 5.0e-4}
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
# Jobs share the cores: two processes of one thread do more than one of two.
if [ "$DEVICE" = cpu ]; then export OMP_NUM_THREADS=$(( $(nproc) > JOBS ? $(nproc) / JOBS : 1 )); fi
together() { xargs -P "$JOBS" -I{} bash -c '{} || { echo "failed: {}" >&2; exit 1; }'; }

persbench data dev-split --out "$OUT/pack"            # keeps this very pack, refuses one of other data

RECIPES=persbench/training/recipes                    # the choices are written into them as they are made

train_all() { # names of recipes
  for persona in $PERSONAS; do for name in "$@"; do
    echo "persbench train --pack $OUT/pack --persona $persona --recipe $OUT/recipes/$name.yaml --device $DEVICE $EXTRA --out $OUT/adapters/$name"
  done; done | together
}

run_all() { # NAME or NAME=DIR
  for persona in $PERSONAS; do for system in "$@"; do
    echo "persbench run --pack $OUT/pack --tasks persbench_who_said,persbench_stages --personas $persona --systems $system --device $DEVICE --dtype $DTYPE --out $OUT/runs/${system%%=*}/$persona"
  done; done | together
}

trained() { for name in "$@"; do echo "$name=$OUT/adapters/$name"; done; }

# The untuned model first: its anchors serve all.
run_all vanilla
run_all prompt icl rag

# Supervised tuning, by learning rate and passes over the data.
mkdir -p "$OUT/recipes"
sft=()
for rate in $RATES; do for repeat in $REPEATS; do
  printf 'extends: persllm-sft\nabout: dev search\nsft: {learning_rate: %s}\ndata: {repeat: %s}\n' "$rate" "$repeat" > "$OUT/recipes/sft-$rate-$repeat.yaml"
  sft+=("sft-$rate-$repeat")
done; done
train_all "${sft[@]}"
run_all $(trained "${sft[@]}")
python leaderboard/dev/choose.py "$OUT/runs" --part sft --recipe "$RECIPES/persllm.yaml"

# Preferences on top of what was chosen, by learning rate. Beside them the baselines, by learning rate too: settings
# chosen for another recipe would ruin them (see README.md).
dpo=(); base=()
for rate in $PREFERENCE_RATES; do
  printf 'extends: persllm\nabout: dev search\ndpo: {learning_rate: %s, beta: 0.1}\n' "$rate" > "$OUT/recipes/dpo-$rate-0.1.yaml"
  dpo+=("dpo-$rate-0.1")
done
for recipe in stylized stylized-matched; do for rate in $RATES; do
  printf 'extends: %s\nabout: dev search\nsft: {learning_rate: %s}\n' "$recipe" "$rate" > "$OUT/recipes/$recipe-$rate.yaml"
  base+=("$recipe-$rate")
done; done
train_all "${dpo[@]}" "${base[@]}"
run_all $(trained "${dpo[@]}" "${base[@]}")
python leaderboard/dev/choose.py "$OUT/runs" --part dpo --recipe "$RECIPES/persllm.yaml"
for recipe in stylized stylized-matched; do
  python leaderboard/dev/choose.py "$OUT/runs" --part "$recipe" --recipe "$RECIPES/$recipe.yaml"
done
