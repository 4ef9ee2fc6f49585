//! Real Kubernetes without Docker: brought up, used, killed and brought down, with the host looked at before and after. Slow and
//! in need of containerd, runc and what `ci/images bare` builds, so ignored unless asked for: `ci/test bare` asks.

mod crashes;
mod install;
mod nodes;
mod place;
mod volumes;
