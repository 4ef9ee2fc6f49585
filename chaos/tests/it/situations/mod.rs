//! What users do to clusters every day, and what the operator owes them then: each test is one situation on a whole cluster, and
//! sees only what `kubectl` shows and what etcd answers. Nothing here knows how the operator works.
//!
//! The tests share one cluster with one installed operator, each in a namespace of its own: a sandbox, or what
//! `CHAOS_TEST_CLUSTER=bare` or `CHAOS_TEST_KUBECONFIG=FILE` names, where one test may run at a time (`--test-threads 1`). Those
//! that change what belongs to the whole cluster take a sandbox of their own.
//!
//! Those that `cargo test` runs fit into the budget of `ci/test`. The others are ignored unless asked for:
//! `cargo test --workspace --test it situations:: -- --include-ignored --skip real_kubernetes` on sandboxes,
//! `CHAOS_TEST_CLUSTER=bare cargo test --workspace --test it situations:: -- --include-ignored --test-threads 1` on real
//! Kubernetes. What no sandbox can show (nodes that are too small, root-owned volumes, the end of memory) is in `real_kubernetes` and
//! fails on a sandbox instead of passing without having shown anything.

mod at_rest;
mod auth;
mod backups;
mod changes;
mod data;
mod drain;
mod etcdctl;
mod forming;
mod ground;
mod growth;
mod handshake;
mod labels;
mod names;
mod observing;
mod options;
mod picture;
mod platform;
mod real_kubernetes;
mod refusals;
mod requests;
mod rollout;
mod same_name;
mod scaling;
mod services;
mod settings;
mod silence;
mod speed;
mod store;
mod subject;
mod tls;
mod unknown_fields;
mod upgrade_speed;
mod upgrades;
mod volumes;
