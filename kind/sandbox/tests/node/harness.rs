//! Runs tests one after the other and counts; waits for facts.

use futures::future::LocalBoxFuture;
use sandbox::{ImageReference, ImageSource, Lifetime, Sandbox, SandboxConfig, TreeConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A test by the name of its function.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> LocalBoxFuture<'static, anyhow::Result<()>>,
}

/// Makes tests of functions.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        vec![$($crate::harness::Test { name: stringify!($name), run: || Box::pin($name()) }),*]
    };
}

/// The tests whose name contains one of the filters; without a filter, all.
pub(crate) fn matching(tests: &[Test], filters: &[String]) -> Vec<Test> {
    let wanted = |test: &Test| filters.is_empty() || filters.iter().any(|one| test.name.contains(one));
    tests.iter().copied().filter(wanted).collect()
}

/// Runs the tests; the exit code.
pub(crate) fn run(tests: &[Test]) -> i32 {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let (mut passed, mut failed) = (0, 0);
    for test in tests {
        let begin = Instant::now();
        let limited = async { tokio::time::timeout(Duration::from_secs(120), (test.run)()).await };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(limited)));
        let seconds = begin.elapsed().as_secs_f64();
        let problem = match outcome {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(format!("{error:#}")),
            Ok(Err(_)) => Some("no end after 120 s".into()),
            Err(_) => Some("panicked".into()),
        };
        match problem {
            None => {
                passed += 1;
                println!("test {} ... ok ({seconds:.1} s)", test.name);
            }
            Some(problem) => {
                failed += 1;
                println!("test {} ... FAILED ({seconds:.1} s): {problem}", test.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    i32::from(failed > 0 || passed == 0)
}

/// A sandbox with the test tool as its only image, and a client for it.
pub(crate) struct Fixture {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: kube::Client,
    pub(crate) state: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn start() -> anyhow::Result<Fixture> {
        let directory = tempfile::tempdir()?;
        let config = config(directory.path(), Lifetime::WithParent)?;
        let sandbox = Sandbox::start(config).await?;
        let client = client(sandbox.kubeconfig_path()).await?;
        Ok(Fixture { sandbox, client, state: directory.path().join("state"), _directory: directory })
    }

    /// Asks the tool that serves in a pod, through the API server; waits until it listens.
    pub(crate) async fn ask(&self, pod: &str, port: u16, question: &str) -> anyhow::Result<String> {
        let path = format!("/api/v1/namespaces/default/pods/{pod}:{port}/proxy/{question}");
        eventually("the tool to listen", async || {
            match self.client.request_text(http::Request::get(&path).body(Vec::new())?).await {
                Err(kube::Error::Api(status))
                    if status.message.contains("Connection refused") && status.code == 503 =>
                {
                    Ok(None)
                }
                other => Ok(Some(other)),
            }
        })
        .await?
        .map_err(anyhow::Error::from)
    }

    /// Ends the sandbox and waits for its end.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.sandbox.stop().await?)
    }
}

/// The configuration of every sandbox here.
pub(crate) fn config(state: &Path, lifetime: Lifetime) -> anyhow::Result<SandboxConfig> {
    let own = std::fs::read_link("/proc/self/exe")?;
    let tool = ImageSource {
        files: BTreeMap::from([("/tool".into(), own)]),
        entrypoint: vec!["/tool".into()],
        ..ImageSource::default()
    };
    let etcd = ImageSource {
        files: BTreeMap::from([("/usr/local/bin/etcd".into(), etcd_binary()?)]),
        entrypoint: vec!["/usr/local/bin/etcd".into()],
        ..ImageSource::default()
    };
    Ok(SandboxConfig {
        name: "test".into(),
        tree: TreeConfig {
            state_directory: state.join("state"),
            listen: ([127, 0, 0, 1], 0).into(),
            lifetime,
        },
        images: BTreeMap::from([
            (ImageReference::new("tool:v1"), tool),
            (ImageReference::new("quay.io/coreos/etcd:v3.6.16"), etcd),
        ]),
    })
}

pub(crate) async fn client(kubeconfig: &Path) -> anyhow::Result<kube::Client> {
    let file = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let mut config =
        kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await?;
    // The tests ask again themselves.
    config.default_retry = false;
    Ok(kube::Client::try_from(config)?)
}

/// Asks again until there is an answer; says after 60 s what was waited for.
pub(crate) async fn eventually<T, F: AsyncFnMut() -> anyhow::Result<Option<T>>>(
    what: &str,
    mut ask: F,
) -> anyhow::Result<T> {
    let begin = Instant::now();
    loop {
        let answer = ask().await;
        match answer {
            Ok(Some(answer)) => return Ok(answer),
            other if begin.elapsed() > Duration::from_secs(60) => {
                let last = other.err().map(|error| format!(": {error:#}")).unwrap_or_default();
                anyhow::bail!("waited 60 s for {what}{last}")
            }
            Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// etcd from the cache that `ci/images` fills.
fn etcd_binary() -> anyhow::Result<PathBuf> {
    cached("images/etcd/v3.6.16/etcd")
}

/// A file of the cache that `ci/images` fills.
pub(crate) fn cached(path: &str) -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("CHAOS_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("etcd-chaos")))
        .or_else(|| Some(variable("HOME")?.join(".cache/etcd-chaos")))
        .unwrap_or_default();
    let path = cache.join(path);
    anyhow::ensure!(path.is_file(), "{} is missing: run ci/images first", path.display());
    Ok(path)
}
