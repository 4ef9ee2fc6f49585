//! A cluster for one test, and ways to wait for facts in it.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;
use chaos::subject::operator;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::support::agent::CHAOS;
use crate::support::need_root;

/// An earlier operator's image, as a cluster of these tests knows it.
pub(super) const PREVIOUS_IMAGE: &str = "etcd-operator:v0.0.9";

/// For whatever takes seconds, on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The kubeconfig of the cluster that tests share, once it runs.
static SHARED: tokio::sync::Mutex<Option<PathBuf>> = tokio::sync::Mutex::const_new(None);

/// Processes that wait for the end of this one, each holding on to the other end of its input.
static GUARDIANS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// A cluster for one test.
pub(crate) struct Arena {
    pub(crate) client: Client,
    pub(crate) kubeconfig: PathBuf,
    /// The cluster that was made for the test, by name.
    own: Option<String>,
}

impl Arena {
    /// A fresh cluster of the kind that the environment names, a sandbox unless it does; or the one whose kubeconfig it names.
    pub(crate) async fn open(name: &str) -> Arena {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (kubeconfig, own) = match std::env::var_os("CHAOS_TEST_KUBECONFIG") {
            Some(file) => (PathBuf::from(file), None),
            None => bring_up(&format!("test-{name}-{}", std::process::id())),
        };
        Arena::at(kubeconfig, own).await
    }

    /// The cluster that tests of this process share, with the operator in it. It is brought down once the process has ended.
    pub(crate) async fn shared() -> Arena {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut shared = SHARED.lock().await;
        let kubeconfig = match (&*shared, std::env::var_os("CHAOS_TEST_KUBECONFIG")) {
            (Some(kubeconfig), _) => kubeconfig.clone(),
            (None, Some(file)) => PathBuf::from(file),
            (None, None) => {
                let (kubeconfig, own) = bring_up(&format!("test-shared-{}", std::process::id()));
                own.iter().for_each(|name| bring_down_after_us(name));
                kubeconfig
            }
        };
        *shared = Some(kubeconfig.clone());
        let arena = Arena::at(kubeconfig, None).await;
        // Each test makes sure of it: the first may have failed half-way, or another may have changed it.
        arena.install().await;
        arena
    }

    async fn at(kubeconfig: PathBuf, own: Option<String>) -> Arena {
        let file = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        Arena { client: Client::try_from(config).unwrap(), kubeconfig, own }
    }

    /// Installs the operator from its manifest and waits for it.
    pub(crate) async fn install(&self) {
        self.install_as(operator::Installation::default()).await;
    }

    /// Installs the earlier operator from the manifest that it prints itself, and waits for it.
    pub(super) async fn install_previous(&self) {
        let output = Command::new(previous_operator()).arg("manifest").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.install_as(operator::Installation {
            manifest: Some(String::from_utf8(output.stdout).unwrap()),
            image: Some(PREVIOUS_IMAGE.to_owned()),
            ..operator::Installation::default()
        })
        .await;
    }

    async fn install_as(&self, installation: operator::Installation) {
        operator::install(&self.client, &installation).await.unwrap();
        operator::wait_ready(&self.client, PATIENCE).await.unwrap();
    }

    /// The operator's pods, those on their way out included.
    pub(super) async fn operator_pods(&self, namespace: &str) -> Vec<Pod> {
        let labels = ListParams::default().labels("app.kubernetes.io/name=etcd-operator");
        Api::<Pod>::namespaced(self.client.clone(), namespace).list(&labels).await.unwrap().items
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(name) = &self.own {
            let _ =
                Command::new(CHAOS).args(["cluster", "down", "--cluster", &kind(), "--name", name]).output();
        }
    }
}

/// The program of the earlier operator: this one, unless the environment names another.
fn previous_operator() -> PathBuf {
    std::env::var_os("CHAOS_TEST_PREVIOUS_OPERATOR")
        .map_or_else(|| PathBuf::from(CHAOS).with_file_name("etcd-operator"), PathBuf::from)
}

/// Brings the cluster down when this process has ended, however it ended: `cat` returns when nobody can write to it any more.
fn bring_down_after_us(name: &str) {
    let script = r#"cat > /dev/null; exec "$0" cluster down --cluster "$1" --name "$2""#;
    let mut guardian = Command::new("sh");
    guardian.args(["-c", script, CHAOS, &kind(), name]).stdin(Stdio::piped());
    // Ctrl-C reaches the group of the tests, and this process is to outlive them.
    guardian.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    GUARDIANS.lock().unwrap().push(guardian.spawn().unwrap());
}

/// The kind of cluster that the tests make, in the words of `--cluster`.
pub(crate) fn kind() -> String {
    std::env::var("CHAOS_TEST_CLUSTER").unwrap_or_else(|_| "sandbox".to_owned())
}

fn bring_up(name: &str) -> (PathBuf, Option<String>) {
    need_root();
    let another = format!("{PREVIOUS_IMAGE}={}", previous_operator().display());
    let arguments = ["cluster", "up", "--cluster", &kind(), "--name", name, "--another-operator", &another];
    let output = chaos(&arguments, None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = String::from_utf8(output.stdout).unwrap();
    (PathBuf::from(path.trim()), Some(name.to_owned()))
}

/// The program under test.
pub(super) fn chaos(arguments: &[&str], kubeconfig: Option<&std::path::Path>) -> Output {
    let mut command = Command::new(CHAOS);
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    command.args(arguments).output().unwrap()
}

/// Asks again and again until there is an answer; panics with the last error when that takes too long.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> T {
    let start = Instant::now();
    loop {
        let answer = ask().await;
        match answer {
            Ok(Some(found)) => return found,
            other => assert!(
                start.elapsed() < PATIENCE,
                "not seen within {} s: {what} ({:?})",
                PATIENCE.as_secs(),
                other.err()
            ),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
