#!/usr/bin/env bash
# Ends what start.sh started, by the process ids that it wrote down.
set -u
dir=${SLURM_TEST_DIR:-/tmp/sweep-slurm}
for name in slurmd slurmctld slurmdbd mariadbd munged; do
  file=$dir/pid/$name.pid
  [ -s "$file" ] || continue
  pid=$(cat "$file")
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ] || continue
  kill "$pid"
  for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
done
grep -q "made by tests/slurm/start.sh" /etc/slurm/slurm.conf 2>/dev/null && rm -f /etc/slurm/{slurm,gres,cgroup,slurmdbd}.conf
exit 0
