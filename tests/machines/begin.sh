# What an emulated machine does: the server offers a folder by NFS, each of the two others mounts it,
# and all obey the lines that they read.
name=$1 tools=$2
export PATH=$tools/usr/sbin:$tools/sbin:$tools/bin:$PATH:/usr/sbin:/sbin HOME=/run/home TERM=dumb
export LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu
cd /run
mkdir -p disk home study /var/lib/nfs rpcbind sendsigs.omit.d
hostname "$name"
cp "$tools/etc/netconfig" /etc/
echo '_rpc:x:107:65534::/run/rpcbind:/usr/sbin/nologin' >>/etc/passwd
echo 'statd:x:108:65534::/var/lib/nfs:/usr/sbin/nologin' >>/etc/passwd

up() {
    busybox ip addr add "$2" dev "$1"
    busybox ip link set "$1" up
}

# Whom to tell after a power cut that this machine is back is kept on its disk.
serve_locks() {
    mkdir -p /run/disk/nfs/rpc_pipefs /run/disk/nfs/v4recovery /run/disk/nfs/sm /run/disk/nfs/sm.bak
    touch /run/disk/nfs/etab /run/disk/nfs/rmtab /run/disk/nfs/state
    chown -R statd /run/disk/nfs/sm /run/disk/nfs/sm.bak /run/disk/nfs/state
    mount --bind /run/disk/nfs /var/lib/nfs
    rpcbind
    rpc.statd
}

mount /dev/vda disk
up lo 127.0.0.1/8
case $name in
server)
    up eth0 10.0.1.1/24
    up eth1 10.0.2.1/24
    serve_locks
    mkdir -p disk/study
    mount -t nfsd nfsd /proc/fs/nfsd
    # So many seconds of silence, and a machine has lost what it has locked; usually 90. A machine
    # that is emulated beside other work may well be silent for a while.
    echo 60 >/proc/fs/nfsd/nfsv4leasetime
    echo 10 >/proc/fs/nfsd/nfsv4gracetime
    exportfs -o rw,no_root_squash,fsid=0,insecure,sync,no_subtree_check '*:/run/disk/study'
    rpc.nfsd 8
    rpc.mountd
    ;;
first)
    up eth0 10.0.1.2/24
    server=10.0.1.1
    serve_locks
    ;;
second)
    up eth0 10.0.2.2/24
    server=10.0.2.1
    serve_locks
    ;;
esac
echo "ready: $name"
while read -r line; do
    eval "$line"
    echo "ended: $?"
done
