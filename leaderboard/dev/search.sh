#!/usr/bin/env bash
# The search for the settings of `persllm`, on the dev split alone: training files only, no test file is read. See ../protocol.md.
#
#   JOBS=2 leaderboard/dev/search.sh                # two personas; hours on two cores
#   JOBS=12 DEVICE=cuda leaderboard/dev/search.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
OUT=${OUT:-runs/dev}; JOBS=${JOBS:-1}; DEVICE=${DEVICE:-cpu}; DTYPE=${DTYPE:-bfloat16}; PERSONAS=${PERSONAS:-nedda osmer}
EXTRA=${EXTRA:-}                                      # further words for `persbench train`, such as --max-steps 2
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
# Jobs share the cores: two processes of one thread do more than one of two.
if [ "$DEVICE" = cpu ]; then export OMP_NUM_THREADS=$(( $(nproc) > JOBS ? $(nproc) / JOBS : 1 )); fi
together() { xargs -P "$JOBS" -I{} bash -c '{} || { echo "failed: {}" >&2; exit 1; }'; }

[ -d "$OUT/pack" ] || persbench data dev-split --out "$OUT/pack"

# The grid: supervised tuning by learning rate and passes over the data, then preferences by learning rate and beta. At
# 2.0e-4 and 5.0e-4 with three passes the loss on the training data itself only fell from 4.0 to 3.4: the grid lies above.
mkdir -p "$OUT/recipes"
for rate in 5.0e-4 1.0e-3 2.0e-3; do for repeat in 3 6; do
  printf 'extends: persllm-sft\nabout: dev search\nsft: {learning_rate: %s}\ndata: {repeat: %s}\n' $rate $repeat > "$OUT/recipes/sft-$rate-$repeat.yaml"
done; done
for rate in 5.0e-5 1.5e-4; do for beta in 0.1; do
  printf 'extends: persllm\nabout: dev search\ndpo: {learning_rate: %s, beta: %s}\n' $rate $beta > "$OUT/recipes/dpo-$rate-$beta.yaml"
done; done
# Beside the grid, the recipes as they stand.
for recipe in stylized stylized-matched persllm-sft persllm; do printf 'extends: %s\nabout: as it stands\n' $recipe > "$OUT/recipes/base-$recipe.yaml"; done
[ -n "${RECIPES:-}" ] || RECIPES=$(cd "$OUT/recipes"; ls *.yaml)

for persona in $PERSONAS; do for file in $RECIPES; do
  name=${file%.yaml}
  echo "persbench train --pack $OUT/pack --persona $persona --recipe $OUT/recipes/$file --device $DEVICE $EXTRA --out $OUT/adapters/$name"
done; done | together

for persona in $PERSONAS; do
  echo "persbench run --pack $OUT/pack --tasks persbench_who_said,persbench_stages,persbench_reply --personas $persona --systems vanilla --device $DEVICE --dtype $DTYPE --out $OUT/runs/vanilla/$persona"
done | together
for persona in $PERSONAS; do
  for system in prompt icl rag; do
    echo "persbench run --pack $OUT/pack --tasks persbench_who_said,persbench_stages,persbench_reply --personas $persona --systems $system --device $DEVICE --dtype $DTYPE --out $OUT/runs/$system/$persona"
  done
  for file in $RECIPES; do
    name=${file%.yaml}
    echo "persbench run --pack $OUT/pack --tasks persbench_who_said,persbench_stages,persbench_reply --personas $persona --systems $name=$OUT/adapters/$name --device $DEVICE --dtype $DTYPE --out $OUT/runs/$name/$persona"
  done
done | together

python leaderboard/dev/choose.py "$OUT/runs" --recipe persbench/training/recipes/persllm.yaml ${WRITE:+--write}
