#!/usr/bin/env bash
# The node image of kind clusters, for machines that reach package registries and no image registry: Debian's systemd and
# containerd, kind's own files out of its Go module, and the Kubernetes that bare clusters run. Sourced by ci/images.
#
# What kind's released image has and this one lacks: kindnetd (kind/node/kubernetes/network stands in), crictl, NFS, iSCSI and
# fuse-overlayfs. containerd is Debian's 1.6, since later ones need a newer systemd, and that needs control groups of version 2.

# node_inputs: what the image is made of beside its own folder; each changes the key.
node_inputs() {
    readlink -f "$cache/tools/kubernetes" "$cache/tools/kubectl" "$cache/tools/coredns" "$(etcd_of_nodes)"
    echo "$kind_version"
    sha256sum "$repository/ci/images-node.sh"
}

# Without the names that a link has while it is replaced.
etcd_of_nodes() { find "$cache/images/etcd" -maxdepth 1 -name 'v3.6.*' ! -name 'v*.*.*.*' | sort -V | tail -n 1; }

# build_node OUTPUT: OUTPUT/node.tar, an archive that `docker load` takes, and OUTPUT/name, the image's name.
build_node() {
    local output=$1 root="$1/root" images="$1/images" files manifests kubernetes
    files=$(kind_module)/images/base/files
    manifests=$(kind_module)/pkg/build/nodeimage
    kubernetes=v$(kubernetes_of kubernetes)
    [ "$kubernetes" = "v$(kubernetes_of ../bare/kubernetes)" ] || fail "kind/node and kind/bare are made for two versions of Kubernetes"
    node_programs "$output/programs"
    node_root "$root"
    node_files "$root" "$files" "$kubernetes" "$output/programs"
    node_manifests "$root" "$manifests"
    mkdir -p "$images"
    node_images "$root" "$images" "$manifests" "$kubernetes" "$output/programs"
    archive_images "$images" "$output/images.tar"
    preload "$root" "$output/images.tar" "$output/store"
    rm -rf "$images" "$output/images.tar" "$output/programs"
    mkdir -p "$images"
    # systemd looks for the variable, and ends at this signal.
    archive_layer "$images" "$root" '{"Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"], "StopSignal": "SIGRTMIN+3",
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=docker"]}' "etcd-chaos/node:$kubernetes"
    archive_images "$images" "$output/node.tar"
    echo "etcd-chaos/node:$kubernetes" > "$output/name"
    rm -rf "$root" "$images"
}

# kubernetes_of RECIPE: the version that it builds.
kubernetes_of() { sed -n 's#^.*k8s.io/kubernetes v\(1\.[0-9.]*\).*#\1#p' "$1/go.mod" | head -n 1; }

# kind_module: the folder of kind's sources.
kind_module() { (cd / && go mod download -json "sigs.k8s.io/kind@$kind_version") | jq -r .Dir; }

# go_text FILE CONSTANT: what a Go source calls by that name: one line in quotes, or lines in back-quotes.
go_text() { found "$2" "$(sed -n "s/^const $2 = \"\\(.*\\)\"\$/\\1/p" "$1")"; }
go_lines() { found "$2" "$(awk -v begin="const $2 = \`" 'index($0, begin) == 1 { on = 1; next } on && /^`$/ { exit } on' "$1")"; }

# found WHAT TEXT: a text that another version may not have; an empty one would show only in a cluster that does not start.
found() { [ -n "$2" ] || fail "kind $kind_version or its kubeadm has no $1"; printf '%s\n' "$2"; }

node_programs() {
    mkdir -p "$1"
    (cd kubernetes && kubernetes_build "$1/" ./kubeadm ./network)
    (cd provisioner && go_build -o "$1/" github.com/rancher/local-path-provisioner)
}

# node_root ROOT: Debian's part. Bookworm, the last Debian whose systemd works with control groups of either version.
node_root() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | awk '$2 == "bookworm" { print $1; exit }')
    mmdebstrap --quiet --variant=minbase --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --include="$(grep -v '^#' packages | paste -sd,)" \
        bookworm "$1.tar" "${mirror:-http://deb.debian.org/debian}" > "$1.log" 2>&1 || { tail -n 5 "$1.log" >&2; return 1; }
    mkdir -p "$1"
    tar -C "$1" -xf "$1.tar" --exclude='./dev/*'
    rm -f "$1.tar" "$1.log"
}

# node_files ROOT FILES KUBERNETES PROGRAMS: what kind's recipe of its base image adds (images/base/Dockerfile of its module).
node_files() {
    local root=$1 files=$2 kubernetes=$3 programs=$4 unit plugin pause
    mkdir -p "$root"/{kind/manifests,opt/cni/bin,etc/kubernetes/manifests,etc/systemd/system/multi-user.target.wants}
    cp -rT --no-preserve=mode "$files" "$root"
    rm -rf "$root/LICENSES" "$root/etc/systemd/system/containerd-fuse-overlayfs.service"
    chmod 755 "$root"/usr/local/bin/* "$root/kind" "$root"/kind/bin "$root"/kind/bin/*
    for unit in kubelet containerd undo-mount-hacks; do
        ln -sfn "/etc/systemd/system/$unit.service" "$root/etc/systemd/system/multi-user.target.wants/$unit.service"
    done
    rm -f "$root"/lib/systemd/system/{multi-user,local-fs,basic}.target.wants/* "$root"/etc/systemd/system/{sysinit,timers,getty}.target.wants/* \
        "$root"/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
        "$root"/lib/systemd/system/sockets.target.wants/*{udev,initctl}*
    ln -sfn /dev/null "$root/etc/systemd/system/systemd-binfmt.service"
    ln -sfn /usr/lib/systemd/systemd "$root/sbin/init"
    echo ReadKMsg=no >> "$root/etc/systemd/journald.conf"
    for plugin in host-local loopback ptp portmap; do ln -sfn "/usr/lib/cni/$plugin" "$root/opt/cni/bin/$plugin"; done
    for unit in containerd ctr containerd-shim-runc-v2; do ln -sfn "/usr/bin/$unit" "$root/usr/local/bin/$unit"; done
    chroot "$root" ctr oci spec |
        jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' > "$root/etc/containerd/cri-base.json"
    # Debian's containerd knows no section of plugins without a version. Where the machine lacks CAP_SYS_RESOURCE no process may
    # be made less likely to be killed than its parent.
    sed -i '/^\[proxy_plugins/,/^$/d; s/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' "$root/etc/containerd/config.toml"
    pause=$(kubeadm_image "$programs" "$kubernetes" pause)
    sed -i "s#\"registry.k8s.io/pause:.*\"#\"$pause\"#" "$root/etc/containerd/config.toml"
    # A node may change parameters of the machine's kernel. It shall not: before anything else starts, each is covered by a file.
    rm -f "$root/usr/lib/sysctl.d/50-pid-max.conf"
    sed -i '/^enable_network_magic$/r cover-parameters' "$root/usr/local/bin/entrypoint"
    grep -qF /run/parameters "$root/usr/local/bin/entrypoint" || fail "kind $kind_version starts nodes in another way: they would change this machine"
    install -m 755 crictl "$root/usr/local/bin/crictl"
    install -m 755 "$programs/kubeadm" "$cache/tools/kubectl/kubectl" "$root/usr/bin/"
    install -m 755 "$cache/tools/kubernetes/kubernetes" "$root/usr/bin/kubelet"
    printf %s "$kubernetes" > "$root/kind/version"
}

node_manifests() {
    local network storage helper
    network=$(go_text "$2/const_cni.go" kindnetdImage)
    storage=$(go_text "$2/const_storage.go" storageProvisionerImage)
    helper=$(go_text "$2/const_storage.go" storageHelperImage)
    go_lines "$2/const_cni.go" defaultCNIManifest | sed "s#\` + kindnetdImage + \`#$network#" > "$1/kind/manifests/default-cni.yaml"
    go_lines "$2/const_storage.go" defaultStorageManifest |
        sed "s#\` + storageProvisionerImage + \`#$storage#; s#\` + storageHelperImage + \`#$helper#" > "$1/kind/manifests/default-storage.yaml"
}

# kubeadm_image PROGRAMS KUBERNETES NAME: what this kubeadm calls the image.
kubeadm_image() {
    found "image $3" "$("$1/kubeadm" config images list --kubernetes-version "$2" 2>/dev/null | grep "/$3:" || true)"
}

# node_images ROOT IMAGES MANIFESTS KUBERNETES PROGRAMS: what the node starts without asking a registry.
node_images() {
    local root=$1 images=$2 manifests=$3 kubernetes=$4 programs=$5 work="$1.image" name servers=()
    # Kubernetes' four are one image, with what kube-proxy calls.
    mkdir -p "$work"/usr/{local/bin,sbin}
    cp "$cache/tools/kubernetes/kubernetes" "$work/usr/local/bin/"
    for name in apiserver controller-manager scheduler proxy; do
        ln -s kubernetes "$work/usr/local/bin/kube-$name"
        servers+=("$(kubeadm_image "$programs" "$kubernetes" "kube-$name")")
    done
    packet_filter "$root" "$work"
    archive_layer "$images" "$work" '{"Entrypoint": ["/usr/local/bin/kube-proxy"]}' "${servers[@]}"
    name=$(kubeadm_image "$programs" "$kubernetes" coredns)
    program_image "$images" "$cache/tools/coredns/coredns" "$name"
    name=$(kubeadm_image "$programs" "$kubernetes" etcd)
    program_image "$images" "$(etcd_of_nodes)/etcd" "$name"
    name=$(go_text "$manifests/const_cni.go" kindnetdImage)
    program_image "$images" "$programs/network" "$name"
    name=$(go_text "$manifests/const_storage.go" storageProvisionerImage)
    program_image "$images" "$programs/local-path-provisioner" "$name"
    rm -rf "$work" && mkdir -p "$work"
    cp /usr/bin/catatonit "$work/pause"
    name=$(kubeadm_image "$programs" "$kubernetes" pause)
    archive_layer "$images" "$work" '{"Entrypoint": ["/pause", "-P"]}' "$name"
    rm -rf "$work" && mkdir -p "$work/bin"
    cp /usr/bin/busybox "$work/bin/"
    for name in sh mkdir rm; do ln -s busybox "$work/bin/$name"; done
    name=$(go_text "$manifests/const_storage.go" storageHelperImage)
    archive_layer "$images" "$work" '{"Entrypoint": ["/bin/sh"]}' "$name"
    rm -rf "$work"
}

# packet_filter ROOT TO: iptables, nft and conntrack, and the libraries that they load.
packet_filter() {
    local file name programs libraries
    programs=$(cd "$1" && echo /usr/sbin/{xtables-nft-multi,nft,conntrack} usr/lib/*-linux-gnu/xtables/*.so)
    libraries=$(chroot "$1" sh -c "cd / && ldd $programs" | grep -o '/lib[^ )]*' | grep -v ':$' | sort -u)
    mkdir -p "$2"/usr/lib "$2"/usr/lib64
    ln -s usr/lib "$2/lib" && ln -s usr/lib64 "$2/lib64"
    for file in $programs $libraries; do
        mkdir -p "$2/$(dirname "$file")"
        cp -L "$1/$file" "$2/$file"
    done
    for name in ip{,6}tables{,-save,-restore}; do ln -s xtables-nft-multi "$2/usr/sbin/$name"; done
}

# program_image IMAGES FILE NAME: an image of one static program.
program_image() {
    local work="$1.program"
    rm -rf "$work" && mkdir -p "$work/usr/local/bin"
    cp "$2" "$work/usr/local/bin/"
    archive_layer "$1" "$work" "{\"Entrypoint\": [\"/usr/local/bin/$(basename "$2")\"]}" "$3"
    rm -rf "$work"
}

# archive_layer IMAGES ROOT CONFIG NAME…: adds an image of one layer to the folder that archive_images packs.
archive_layer() {
    local images=$1 root=$2 settings=$3 layer config; shift 3
    mkdir -p -m 1777 "$root/tmp" && mkdir -p "$root/etc"
    [ -e "$root/etc/passwd" ] || echo 'root:x:0:0:root:/:/sbin/nologin' > "$root/etc/passwd"
    tar -C "$root" -c --numeric-owner --sort=name . > "$images/layer"
    layer=$(sha256sum < "$images/layer" | cut -d' ' -f1)
    mv "$images/layer" "$images/$layer.tar"
    jq -n --argjson settings "$settings" --arg layer "sha256:$layer" --arg architecture "$(image_architecture)" '{
        architecture: $architecture, os: "linux", rootfs: {type: "layers", diff_ids: [$layer]},
        config: ({Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]} + $settings)}' > "$images/config"
    config=$(sha256sum < "$images/config" | cut -d' ' -f1)
    mv "$images/config" "$images/$config.json"
    jq -n -c --arg config "$config.json" --arg layer "$layer.tar" '{Config: $config, RepoTags: $ARGS.positional, Layers: [$layer]}' \
        --args "$@" >> "$images/entries"
}

archive_images() {
    jq -s . "$1/entries" > "$1/manifest.json" && rm "$1/entries"
    tar -C "$1" -cf "$2" .
}

# preload ROOT ARCHIVE STORE: puts images into the node's containerd, packed: every node unpacks them on a volume of its own.
preload() {
    local root=$1 archive=$2 store=$3 started code=0
    rm -rf "$root/var/lib/containerd" && mkdir -p "$root/var/lib/containerd" "$store"
    printf 'version = 2\nroot = "%s"\nstate = "%s"\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n[grpc]\n  address = "%s"\n' \
        "$root/var/lib/containerd" "$store/state" "$store/socket" > "$store/config.toml"
    # It ends with this script, however that ends.
    setpriv --pdeathsig KILL -- containerd --config "$store/config.toml" > "$store/log" 2>&1 & started=$!
    for _ in $(seq 100); do ctr --address "$store/socket" version >/dev/null 2>&1 && break; sleep 0.1; done
    ctr --address "$store/socket" --namespace k8s.io images import --all-platforms --no-unpack --digests "$archive" >/dev/null || code=$?
    [ "$code" -eq 0 ] || tail -n 5 "$store/log" >&2
    kill "$started" && wait "$started" || true
    rm -rf "$store"
    return "$code"
}
