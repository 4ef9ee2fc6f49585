#!/usr/bin/env bash
# The stage `image` of ci/full: the images of this commit, built twice from folders of different names, must be the same bytes.
# Sourced by ci/full, never run. It builds from the commit, so what is not committed has no part in it.

# build_in FOLDER COMMIT: the images of the commit, built in FOLDER/source with a target folder of its own.
build_in() {
    mkdir -p "$1"
    rm -rf "$1/source" && mkdir "$1/source"
    git archive "$2" | tar -x -C "$1/source"
    CARGO_TARGET_DIR="$1/target" CHAOS_CACHE="$cache" "$1/source/ci/image"
}

# digests FOLDER: name and SHA-256 of everything that was built.
digests() { (cd "$1/target/images" && sha256sum -- *.tar *.spdx.json | awk '{ print $2, $1 }'); }

stage_image() {
    local first="$target_directory/reproducible/a" second="$target_directory/reproducible/somewhere/quite/different"
    local name size built same=yes
    # Asked once: the second build is of the same commit, whatever is committed meanwhile.
    built=$(git rev-parse HEAD)
    build_in "$first" "$built"
    build_in "$second" "$built"
    [ "$(digests "$first")" = "$(digests "$second")" ] || same=no
    head_of_result image "The images, built twice from folders of different names"
    printf 'Rust %s, %s.\n\n' "$(rustc -vV | sed -n 's/^release: //p')" "$(ld --version | head -n 1)" >> ci/results/image.md
    printf '| file | bytes | SHA-256 | the same both times |\n|---|---|---|---|\n' >> ci/results/image.md
    digests "$first" | while read -r name digest; do
        size=$(stat -c %s "$first/target/images/$name")
        printf '| %s | %s | %s | %s |\n' "$name" "$size" "$digest" \
            "$(digests "$second" | grep -qxF "$name $digest" && echo yes || echo no)" >> ci/results/image.md
    done
    cat ci/results/image.md
    # The first target folder stays, for the next commit; the second would only fill the disk.
    rm -rf "$target_directory/reproducible/somewhere"
    [ "$same" = yes ]
}
