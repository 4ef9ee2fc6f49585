# From lists of crates to an SPDX 2.3 document (https://spdx.github.io/spdx-spec/v2.3/). Called by ci/sbom, which says what
# the variables hold.

def lines: split("\n") | map(select(length > 0) | split("|"));

# SPDX identifiers allow letters, digits, dots and dashes only.
def identifier: "SPDXRef-" + gsub("[^A-Za-z0-9.-]"; "-");

# Crates of old write "MIT/Apache-2.0" for a choice.
def licence: if . == null or . == "" then "NOASSERTION" else gsub(" */ *"; " OR ") end;

($checksums | lines | map({key: "\(.[0]) \(.[1])", value: .[2]}) | from_entries) as $sums

| def crate:
    . as [$name, $version, $licence]
    | $sums["\($name) \($version)"] as $sum
    | {
        SPDXID: ("crate-\($name)-\($version)" | identifier),
        name: $name,
        versionInfo: $version,
        downloadLocation: (if $sum then "https://crates.io/api/v1/crates/\($name)/\($version)/download" else "NOASSERTION" end),
        filesAnalyzed: false,
        licenseConcluded: "NOASSERTION",
        licenseDeclared: ($licence | licence),
        copyrightText: "NOASSERTION",
        primaryPackagePurpose: (if $name == $package then "APPLICATION" else "LIBRARY" end)
      }
    + (if $sum then {
        checksums: [{algorithm: "SHA256", checksumValue: $sum}],
        externalRefs: [{
          referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: "pkg:cargo/\($name)@\($version)"
        }]
      } else {} end);

def library($name; $version; $licence; $purl): {
    SPDXID: ("library-\($name)" | identifier),
    name: $name,
    versionInfo: $version,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    licenseConcluded: "NOASSERTION",
    licenseDeclared: $licence,
    copyrightText: "NOASSERTION",
    primaryPackagePurpose: "LIBRARY",
    externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: $purl}]
  };

([$linked | lines[] | crate] + [
    library("rust-std"; $rust; "MIT OR Apache-2.0"; "pkg:generic/rust-std@\($rust)"),
    library("glibc"; $glibc; "LGPL-2.1-or-later"; "pkg:deb/debian/glibc@\($glibc)")
  ]) as $packages
| ($packages[] | select(.name == $package)) as $program
| {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: "\($package)-\($program.versionInfo)",
    # Unique to what it describes: the program and the lock file that fixes all the rest.
    documentNamespace: "https://etcd.operators.rs/spdx/\($package)-\($program.versionInfo)-\($host)-\($lock)",
    creationInfo: {created: $created, creators: ["Tool: ci/sbom"]},
    packages: $packages,
    relationships: ([{
        spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: $program.SPDXID
      }] + [$packages[] | select(.name != $package)
        | {spdxElementId: $program.SPDXID, relationshipType: "STATIC_LINK", relatedSpdxElement: .SPDXID}])
  }
