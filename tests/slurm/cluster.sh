#!/usr/bin/env bash
# A real SLURM on one machine for tests: munge, mariadbd, slurmdbd, slurmctld and NODES + 1 x slurmd with fake GPUs.
# As root on Debian or Ubuntu, without systemd; all state under one folder, all ports on loopback.
#   cluster.sh install           apt-get the packages, start no service
#   cluster.sh up                idempotent; then: export SLURM_CONF=$SLURM_TEST_DIR/etc/slurm.conf
#   cluster.sh kill-node N       SIGKILL one slurmd; its jobs' processes live on, as on a node that lost its network
#   cluster.sh start-node N
#   cluster.sh kill DAEMON       SIGKILL munged, slurmdbd or slurmctld
#   cluster.sh start DAEMON
#   cluster.sh purge             end what `up` started and every process of its jobs, remove the folder
# Settings of `up`: SLURM_TEST_DIR, and the ones below. SLURM_TEST_MEMORY=1: jobs get the memory they ask for and no more,
# by control groups of version 1, which are to be there.
set -u
[ "${1:-}" = install ] && SLURM_TEST_DIR=/nonexistent  # it needs none
D=${SLURM_TEST_DIR:?a folder for all state}
NODES=${SLURM_TEST_NODES:-3} GPUS=${SLURM_TEST_GPUS:-4} CPUS=32 MAXARRAY=${SLURM_TEST_MAXARRAY:-1001}
MEMORY=${SLURM_TEST_MEMORY:-0} MEMORIES=/sys/fs/cgroup/memory
ETC=$D/etc RUN=$D/run LOG=$D/log
export SLURM_CONF=$ETC/slurm.conf
PATH=$PATH:/usr/sbin:/sbin
say() { echo "cluster: $*" >&2; }
die() { say "ERROR: $*"; exit 1; }

# ---- our processes: NAME.pid holds "pid starttime"; a zombie counts as dead, for a container's pid 1 may reap late
started() { local s; { read -r s < /proc/$1/stat; } 2>/dev/null || return 1; s=${s##*) }; set -- $s; [ $1 != Z ] && echo ${20}; }
alive() { local p t; { read -r p t < $RUN/$1.pid; } 2>/dev/null || return 1; [ "$(started $p)" = "$t" ] && echo $p; }
start() { # NAME COMMAND...
  local n=$1; shift; alive $n >/dev/null && return
  [ $UTS = 1 ] && set -- unshare --uts sh -c 'echo localhost > /proc/sys/kernel/hostname; exec "$@"' sh "$@"
  setsid "$@" </dev/null >>$LOG/$n.out 2>&1 9>&- & echo "$! $(started $!)" > $RUN/$n.pid; }
stop() { # NAMES: TERM all, up to 5 s, KILL
  local n p t=0
  for n in "$@"; do p=$(alive $n) && kill -TERM $p 2>/dev/null; done
  for n in "$@"; do
    while alive $n >/dev/null && [ $t -lt 250 ]; do sleep 0.02; t=$((t+1)); done
    p=$(alive $n) && { say "$n: SIGKILL"; kill -KILL $p; }
    rm -f $RUN/$n.pid
  done; }
wait_for() { local end=$((SECONDS+$1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do [ $SECONDS -le $end ] || die "timeout: $what; see $LOG"; sleep 0.05; done; }
port_open() { (exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null; }
# Job processes and slurmstepds that outlive their slurmd, told by their environment. They are to be ended one by one.
orphans() { local e p
  for e in $(grep -lzxsE "SLURM_CLUSTER_NAME=$CLUSTER|SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ 2>/dev/null); do
    p=${e#/proc/}; p=${p%/environ}
    case $(readlink /proc/$p/exe) in */slurmstepd*) echo $p; continue;; esac
    grep -qzxs "SLURM_CLUSTER_NAME=$CLUSTER" $e && [ $p != $$ ] && echo $p
  done; }

settings() { # chosen at the first `up`, kept in the folder
  if [ -e $ETC/settings ]; then . $ETC/settings; else
    # Daemons bind to what gethostname() resolves to. Debian's usual 127.0.1.1 does not work, for answers come from
    # 127.0.0.1; there they run in a namespace where the host is called localhost.
    UTS=0; [ "$(getent ahostsv4 "$(hostname)" | awk 'NR==1 {print $1}')" = 127.0.0.1 ] || UTS=1
    for PORT in $(seq 17800 50 19750); do
      port_open $PORT || port_open $((PORT+1)) || port_open $((PORT+2)) || port_open $((PORT+11)) || break; done
  fi
  CLUSTER=test$PORT
  LAST=$((NODES+1)); }  # one node more, with two threads a core, in a partition of its own

install_() {
  local mine=0 rc=0
  [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; mine=1; }
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      slurm-wlm slurmdbd munge mariadb-server-core; } >&2 || rc=1
  [ $mine = 1 ] && rm -f /usr/sbin/policy-rc.d
  return $rc; }

configure() {
  mkdir -p $ETC $RUN $LOG $D/state $D/munge $D/sql; chmod 755 $D $ETC $RUN $LOG; chmod 700 $D/state $D/munge
  # cred_expire: a requeued job may start only that much later (default 120 s). FirstJobId: ids of earlier clusters
  # must not come back. AccountingStoragePass is munge's socket. config_overrides: the fake CPUs and memory count.
  cat > $SLURM_CONF <<C
ClusterName=$CLUSTER
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$RUN/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool/%n
SlurmctldPidFile=$RUN/slurmctld.own
SlurmdPidFile=$RUN/slurmd-%n.own
SlurmctldLogFile=$LOG/slurmctld.log
SlurmdLogFile=$LOG/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=0
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
FirstJobId=$(( $(date +%s) % 60000000 + 1000 ))
MaxArraySize=$MAXARRAY
JobRequeue=1
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1,bf_resolution=60
SlurmctldTimeout=30
SlurmdTimeout=4
MessageTimeout=5
KillWait=5
CompleteWait=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT+1))
AccountingStoragePass=$RUN/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=limits,qos
PartitionName=gpu     Nodes=n[1-$NODES] Default=YES MaxTime=INFINITE State=UP PriorityTier=100 PreemptMode=OFF
PartitionName=preempt Nodes=n[1-$NODES] Default=NO  MaxTime=INFINITE State=UP PriorityTier=1   PreemptMode=REQUEUE GraceTime=30
PartitionName=cancel  Nodes=n[1-$NODES] Default=NO  MaxTime=INFINITE State=UP PriorityTier=1   PreemptMode=CANCEL  GraceTime=3
PartitionName=threads Nodes=n$LAST Default=NO  MaxTime=INFINITE State=UP PriorityTier=100 PreemptMode=OFF
C
  echo "# none" > $ETC/cgroup.conf; : > $ETC/gres.conf
  if [ $MEMORY = 1 ]; then
    sed -i 's|^TaskPlugin=.*|TaskPlugin=task/cgroup|; s|^\(SelectTypeParameters=.*\)|\1_Memory\nDefMemPerNode=1500|' $SLURM_CONF
    printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nConstrainRAMSpace=yes\n' > $ETC/cgroup.conf; fi
  local i g cores
  for i in $(seq $LAST); do
    cores=CPUs=$CPUS; [ $i = $LAST ] && cores="Sockets=1 CoresPerSocket=$((CPUS/2)) ThreadsPerCore=2"
    mkdir -p $D/spool/n$i $D/dev/n$i
    for g in $(seq 0 $((GPUS-1))); do mknod $D/dev/n$i/nvidia$g c 1 3; done # clones of /dev/null
    echo "NodeName=n$i NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((PORT+10+i)) $cores RealMemory=16000 Gres=gpu:fake:$GPUS" >> $SLURM_CONF
    echo "NodeName=n$i Name=gpu Type=fake File=$D/dev/n$i/nvidia[0-$((GPUS-1))] Flags=nvidia_gpu_env" >> $ETC/gres.conf
  done
  (umask 077; cat > $ETC/slurmdbd.conf <<C
AuthType=auth/munge
AuthInfo=socket=$RUN/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((PORT+1))
CommunicationParameters=NoInAddrAny
SlurmUser=root
LogFile=$LOG/slurmdbd.log
PidFile=$RUN/slurmdbd.own
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT+2))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
C
  head -c 128 /dev/urandom > $D/munge/munge.key; chmod 400 $D/munge/munge.key)
  cat > $ETC/init.sql <<C
CREATE DATABASE IF NOT EXISTS slurm_acct;
CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';
GRANT ALL ON slurm_acct.* TO 'slurm'@'127.0.0.1';
C
  local v; for v in NODES GPUS MAXARRAY PORT UTS; do echo "$v=${!v}"; done > $ETC/settings; }

bootstrap_sql() { # what mariadb-install-db does, which is in a larger package
  local q=/usr/share/mysql sql="--no-defaults --user=root --datadir=$D/sql --skip-log-bin --innodb-log-file-size=16M --innodb-flush-method=nosync"
  [ -e $D/sql/mysql ] || { printf 'create database if not exists mysql;\nuse mysql;\nSET @auth_root_socket=NULL;\n'
    cat $q/mysql_system_tables.sql $q/mysql_performance_tables.sql $q/mysql_system_tables_data.sql $q/maria_add_gis_sp_bootstrap.sql
  } | mariadbd $sql --bootstrap >$LOG/bootstrap.out 2>&1 || die "mariadbd, see $LOG/bootstrap.out"
  start mariadbd mariadbd $sql --socket=$RUN/sql.sock --pid-file=$RUN/mariadbd.own --bind-address=127.0.0.1 --port=$((PORT+2)) \
    --init-file=$ETC/init.sql --skip-name-resolve --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0 --innodb-lock-wait-timeout=900
  wait_for 20 mariadbd port_open $((PORT+2)); }
start_munged() {
  alive munged >/dev/null && return
  rm -f $RUN/munge.socket*
  start munged munged -F --force --socket=$RUN/munge.socket --key-file=$D/munge/munge.key --num-threads=4 \
    --pid-file=$RUN/munged.own --log-file=$LOG/munged.log --seed-file=$D/munge/munge.seed
  wait_for 5 munged test -S $RUN/munge.socket; }
start_slurmdbd() { start slurmdbd slurmdbd -D; wait_for 20 slurmdbd port_open $((PORT+1)); }
start_slurmctld() { start slurmctld slurmctld -D -f $SLURM_CONF; wait_for 20 slurmctld scontrol ping; }
start_node() { start slurmd-$1 slurmd -D -N $1 -f $SLURM_CONF; }
kill_() { local p; p=$(alive $1) && kill -KILL $p && rm -f $RUN/$1.pid; }
add_cluster() { sacctmgr -n -P show cluster format=cluster | grep -qx $CLUSTER || sacctmgr -i -Q add cluster $CLUSTER; }
ready() { [ "$(sinfo -h -N -p gpu,threads -o %T | grep -cE '^(idle|mixed|allocated|completing)')" = $LAST ]; }

up() {
  [ "$(id -u)" = 0 ] || die "run as root"
  exec 9>/tmp/slurm-test.lock; flock -w 120 9 || die "another cluster does not come up" # two would choose the same ports
  settings; [ -e $ETC/settings ] || configure
  start_munged
  bootstrap_sql
  start_slurmdbd
  wait_for 10 sacctmgr add_cluster # before slurmctld's first start
  sacctmgr -i -Q add account root >/dev/null 2>&1; sacctmgr -i -Q add user root account=root >/dev/null 2>&1
  start_slurmctld
  local i; for i in $(seq $LAST); do start_node n$i; done
  wait_for 20 nodes ready; }

purge() {
  [ -e $ETC/settings ] || return 0
  settings; local p i
  timeout 5 squeue -h -r -o %i 2>/dev/null | xargs -r timeout 5 scancel --full 2>/dev/null
  for i in $(seq 30); do [ -z "$(timeout 2 squeue -h 2>/dev/null)" ] && break; sleep 0.1; done
  stop $(cd $RUN && ls slurmd-*.pid 2>/dev/null | sed 's/\.pid$//')
  for i in 1 2 3; do p=$(orphans); [ -z "$p" ] && break; kill -KILL $p 2>/dev/null; sleep 0.1; done
  stop slurmctld; stop slurmdbd; stop mariadbd; stop munged
  find $MEMORIES/slurm_n* -depth -type d -exec rmdir {} + 2>/dev/null # those of other clusters are busy
  rm -rf "${D:?}"; }

case ${1:-} in
  install) install_;; up) up;; purge) purge;;
  kill) settings; kill_ $2;; kill-node) settings; kill_ slurmd-$2;;
  start) settings; start_$2;; start-node) settings; start_node $2;;
  *) sed -n '2,11p' "$0" >&2; exit 2;;
esac
