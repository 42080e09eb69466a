#!/usr/bin/env bash
# A real one-node SLURM for the tests, on a bare Debian or Ubuntu machine: no systemd, no cgroups, four fake GPUs.
#
#   sudo tests/slurm/start.sh [--install] [--no-accounting | --bare]      start (and install) it;  stop.sh ends it
#
# With slurmdbd; without accounting; or bare: without accounting, jobs forgotten 2 s after their end, no user signal before a
# preemption, and arrays of 6 at most. Jobs run as the user sweeptest, whom it makes: root hides permission faults.
# Everything that it writes lies in $SLURM_TEST_DIR (default /tmp/sweep-slurm), pid files of what it started too.
# It refuses to touch a machine that already has a SLURM configuration of its own.
set -euo pipefail

dir=${SLURM_TEST_DIR:-/tmp/sweep-slurm}
host=$(hostname -s)
install=no accounting=yes user_signal=SlurmctldParameters=preempt_send_user_signal
max_array_size=10001 min_job_age=300
for option in "$@"; do
  case $option in
    --install) install=yes ;;
    --no-accounting) accounting=no ;;
    --bare) accounting=no user_signal='' max_array_size=6 min_job_age=2 ;;
    *) echo "start.sh: unknown option $option; allowed: --install --no-accounting --bare" >&2; exit 2 ;;
  esac
done

[ "$(id -u)" = 0 ] || { echo "start.sh: run it as root (it starts munged and slurmd)" >&2; exit 1; }
if [ -e /etc/slurm/slurm.conf ] && ! grep -q "made by tests/slurm/start.sh" /etc/slurm/slurm.conf; then
  echo "start.sh: /etc/slurm/slurm.conf belongs to a real cluster; not touching it" >&2
  exit 1
fi
if [ "$install" = yes ] && ! command -v slurmctld >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client slurmdbd munge mariadb-server >/dev/null
fi
for tool in slurmctld slurmd munged; do
  command -v "$tool" >/dev/null || [ -x "/usr/sbin/$tool" ] || { echo "start.sh: $tool is missing; use --install" >&2; exit 1; }
done

wait_for() {  # wait_for SECONDS WHAT COMMAND...
  local seconds=$1 what=$2
  shift 2
  for _ in $(seq $((seconds * 5))); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
  echo "start.sh: $what did not come up within $seconds s; see $dir/log" >&2
  exit 1
}

id sweeptest >/dev/null 2>&1 || useradd --create-home --shell /bin/bash sweeptest

"$(dirname "$0")/stop.sh" >/dev/null 2>&1 || true
rm -rf "$dir"
mkdir -p "$dir"/{log,state,spool,pid} /etc/slurm
chmod 755 "$dir"
for i in 0 1 2 3; do [ -e "/dev/fakegpu$i" ] || mknod "/dev/fakegpu$i" c 1 3; done
chmod 666 /dev/fakegpu?

storage=accounting_storage/none
[ "$accounting" = yes ] && storage=accounting_storage/slurmdbd
cat > /etc/slurm/slurm.conf <<EOF
# made by tests/slurm/start.sh
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=10
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
SlurmctldPidFile=$dir/pid/slurmctld.pid
SlurmdPidFile=$dir/pid/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
MailProg=/bin/true
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0
JobRequeue=1
KillWait=5
MaxArraySize=$max_array_size
MaxJobCount=20000
MinJobAge=$min_job_age
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
$user_signal
AccountingStorageType=$storage
AccountingStorageHost=127.0.0.1
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 Gres=gpu:4 State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=10 OverSubscribe=NO
PartitionName=cheap Nodes=$host Default=NO MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=CANCEL GraceTime=10 OverSubscribe=NO
PartitionName=high Nodes=$host Default=NO MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF OverSubscribe=NO
EOF
echo "NodeName=$host Name=gpu File=/dev/fakegpu[0-3]" > /etc/slurm/gres.conf
echo "CgroupPlugin=cgroup/v1" > /etc/slurm/cgroup.conf

install -d -o munge -g munge /run/munge /var/lib/munge /var/log/munge /etc/munge
if [ ! -e /etc/munge/munge.key ]; then
  head -c 1024 /dev/urandom > /etc/munge/munge.key
  chown munge:munge /etc/munge/munge.key
  chmod 400 /etc/munge/munge.key
fi
pgrep -x munged >/dev/null || { runuser -u munge -- munged --force; pgrep -nx munged > "$dir/pid/munged.pid"; }
wait_for 10 munged munge -n

if [ "$accounting" = yes ]; then
  install -d -o mysql /run/mysqld
  if ! mysqladmin ping >/dev/null 2>&1; then
    mariadbd --user=mysql --bind-address=127.0.0.1 > "$dir/log/mariadb.log" 2>&1 &
    echo $! > "$dir/pid/mariadbd.pid"
  fi
  wait_for 60 mariadbd mysqladmin ping
  password=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
  mysql -e "DROP DATABASE IF EXISTS slurm_acct_db; CREATE DATABASE slurm_acct_db;
            CREATE OR REPLACE USER 'slurm'@'localhost' IDENTIFIED BY '$password'; GRANT ALL ON slurm_acct_db.* TO 'slurm'@'localhost';"
  (umask 077; cat > /etc/slurm/slurmdbd.conf <<EOF
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=$password
StorageLoc=slurm_acct_db
LogFile=$dir/log/slurmdbd.log
PidFile=$dir/pid/slurmdbd.pid
EOF
  )
  slurmdbd
  wait_for 60 slurmdbd bash -c '</dev/tcp/127.0.0.1/6819'
fi

slurmctld
slurmd
wait_for 60 "the node" bash -c 'timeout 5 sinfo -h -o %T | grep -qx idle'
echo "SLURM runs: one node, 8 CPUs, 4 fake GPUs, partitions debug, cheap and high, accounting $accounting"
