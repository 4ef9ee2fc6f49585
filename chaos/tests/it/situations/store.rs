//! A real kube-apiserver whose store is a cluster under test: what it has acknowledged is there after the cluster has changed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Client, Config, ResourceExt as _};
use rcgen::KeyPair;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::backups::{backed_up, becomes, kubectl_with, of_page};
use super::changes::requested_memory;
use super::etcdctl;
use super::ground::Ground;
use super::subject::{Subject, is_ready};
use crate::promises::arena::until;
use crate::support::Process;

/// The administrator's token. It is worth nothing: the server lives as long as the test.
const TOKEN: &str = "store";

/// What a Service does for clients that are not in the cluster: each connection goes to the next member that serves.
struct Doorway {
    port: u16,
    /// Whose members they are. Whoever is inside is put out when that changes.
    leads_to: watch::Sender<String>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Doorway {
    async fn open(demo: &Subject<'_>, selector: &str) -> Doorway {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pods = demo.pods_api();
        let turn = Arc::new(AtomicUsize::new(0));
        let (leads_to, direction) = watch::channel(selector.to_owned());
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut direction = direction.clone();
                let members = ListParams::default().labels(&direction.borrow_and_update());
                let (pods, turn) = (pods.clone(), turn.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        biased;
                        _ = direction.changed() => {}
                        () = carry(client, pods, members, turn) => {}
                    }
                });
            }
        });
        Doorway { port, leads_to, serving }
    }
}

/// Carries one connection until either side ends it; ends it at once if nobody serves.
async fn carry(mut client: TcpStream, pods: Api<Pod>, members: ListParams, turn: Arc<AtomicUsize>) {
    let Ok(list) = pods.list(&members).await else { return };
    let serving: Vec<String> = list.iter().filter(|pod| is_ready(pod)).map(|pod| pod.name_any()).collect();
    if serving.is_empty() {
        return;
    }
    let pod = &serving[turn.fetch_add(1, Ordering::Relaxed) % serving.len()];
    let Ok(mut forwarded) = pods.portforward(pod, &[2379]).await else { return };
    if let Some(mut member) = forwarded.take_stream(2379) {
        // Either side may break it off; the client notices.
        let _ended = tokio::io::copy_bidirectional(&mut client, &mut member).await;
    }
}

/// A kube-apiserver.
struct ApiServer {
    folder: tempfile::TempDir,
    process: Process,
    client: Client,
}

impl ApiServer {
    /// Starts it and waits until it is ready.
    async fn start(store: u16) -> ApiServer {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("accounts.key"), key.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("accounts.pub"), key.public_key_pem()).unwrap();
        let tokens = format!("{TOKEN},kubernetes-admin,admin,\"system:masters\"\n");
        std::fs::write(folder.path().join("tokens.csv"), tokens).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program()).args(arguments(store, port));
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(log);
        let process = Process::start(&mut command);
        let server = ApiServer { folder, process, client: client(port).await };
        until("the API server is ready", async || {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            match server.client.request_text(request).await {
                Ok(_) => Ok(Some(())),
                Err(error) => anyhow::bail!("{error}; {}", server.last_words()),
            }
        })
        .await;
        server
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

/// All servers of Kubernetes in one, as bare clusters run them.
fn program() -> PathBuf {
    let program = chaos::cluster::cache::directory().unwrap().join("tools/kubernetes/kubernetes");
    assert!(program.is_file(), "there is no {}: `ci/images bare` builds it", program.display());
    program
}

/// Free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn arguments(store: u16, port: u16) -> Vec<String> {
    let all = [
        "kube-apiserver",
        &format!("--etcd-servers=http://127.0.0.1:{store}"),
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        &format!("--secure-port={port}"),
        "--cert-dir=certificates",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.97.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--service-account-key-file=accounts.pub",
        "--service-account-signing-key-file=accounts.key",
    ];
    all.map(str::to_owned).to_vec()
}

async fn client(port: u16) -> Client {
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "store",
        "clusters": [{ "name": "store", "cluster": { "server": format!("https://127.0.0.1:{port}"), "insecure-skip-tls-verify": true } }],
        "users": [{ "name": "admin", "user": { "token": TOKEN } }],
        "contexts": [{ "name": "store", "context": { "cluster": "store", "user": "admin" } }],
    });
    let file: Kubeconfig = serde_json::from_value(text).unwrap();
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// Creates a ConfigMap, again if it fails; says how the first attempt failed, if it did.
async fn write(maps: &Api<ConfigMap>, name: &str) -> Option<String> {
    let map = ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some([("key".to_owned(), name.to_owned())].into()),
        ..ConfigMap::default()
    };
    let first = maps.create(&PostParams::default(), &map).await.err()?;
    match maps.create(&PostParams::default(), &map).await {
        Ok(_) => {}
        // The first attempt was carried out, and its answer was lost.
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(second) => panic!("{name} is refused twice: {first}, then {second}"),
    }
    Some(first.to_string())
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_kube_apiserver_whose_store_it_is_sees_no_error_in_a_rolling_change_that_one_retry_does_not_cover()
{
    let ground = Ground::open("store").await;
    let demo = Subject::create(&ground, "demo", json!({ "rollout": { "soakSeconds": 3 } })).await;
    let picture = demo.is_ready(3).await;
    let doorway = Doorway::open(&demo, picture.0.data["status"]["selector"].as_str().unwrap()).await;
    let mut server = ApiServer::start(doorway.port).await;
    let maps = Api::<ConfigMap>::namespaced(server.client.clone(), "default");
    let (mut written, mut retried) = (0, Vec::new());
    retried.extend(write(&maps, "before").await);

    demo.change(json!({ "resources": { "requests": { "memory": "96Mi" } } })).await.unwrap();
    until("every member has followed the change", async || {
        retried.extend(write(&maps, &format!("map-{written}")).await);
        written += 1;
        let pods = demo.pods().await;
        let followed = pods.iter().filter(|pod| requested_memory(pod).as_deref() == Some("96Mi")).count();
        anyhow::ensure!(followed == 3 && demo.picture().await.is("Ready"), "{followed} followed");
        Ok(Some(()))
    })
    .await;
    retried.extend(write(&maps, "after").await);
    eprintln!("{written} ConfigMaps were written meanwhile; retried: {retried:?}");

    let names: std::collections::BTreeSet<String> =
        maps.list(&ListParams::default()).await.unwrap().iter().map(|map| map.name_any()).collect();
    let expected =
        (0..written).map(|number| format!("map-{number}")).chain(["before".into(), "after".into()]);
    let missing: Vec<String> = expected.filter(|name| !names.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new(), "all that was acknowledged is there");
    let pod = demo.ready_pods().await.remove(0);
    let keys = ["get", "/registry/configmaps/default/", "--prefix", "--keys-only", "--limit=5"];
    let said = etcdctl::run(&demo.pods_api(), &pod, etcdctl::OWN, &keys).await.unwrap();
    assert!(said.contains("/registry/configmaps/default/"), "it is this cluster that it stores in: {said}");
    server.process.kill();
}

/// An informer's picture of all ConfigMaps, kept by watching.
fn informer(maps: Api<ConfigMap>) -> (reflector::Store<ConfigMap>, tokio::task::JoinHandle<()>) {
    let (store, writer) = reflector::store();
    let events = reflector(writer, watcher(maps, watcher::Config::default()).default_backoff());
    // What a watcher cannot do now it tries again.
    (store, tokio::spawn(events.for_each(|_| std::future::ready(()))))
}

/// Waits until an informer knows of one ConfigMap and, if it says so, of another one no more; that one's version.
async fn knows(store: &reflector::Store<ConfigMap>, name: &str, gone: Option<&str>) -> u64 {
    until(&format!("the informer knows of {name}"), async || {
        let all = store.state();
        let version =
            |name: &str| all.iter().find(|map| map.name_any() == name)?.resource_version()?.parse().ok();
        let names: Vec<String> = all.iter().map(|map| map.name_any()).collect();
        anyhow::ensure!(gone.is_none_or(|gone| version(gone).is_none()), "{names:?}");
        version(name).map(Some).ok_or_else(|| anyhow::anyhow!("{names:?}"))
    })
    .await
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_kube_apiserver_that_is_led_to_a_cluster_from_a_backup_reads_everything_anew_and_so_do_its_informers()
 {
    let ground = Ground::open("led").await;
    let example = backed_up(&ground, &json!({})).await;
    let picture = example.is_ready(3).await;
    let doorway = Doorway::open(&example, picture.0.data["status"]["selector"].as_str().unwrap()).await;
    let mut server = ApiServer::start(doorway.port).await;
    let maps = Api::<ConfigMap>::namespaced(server.client.clone(), "default");
    let (store, watching) = informer(maps.clone());
    write(&maps, "before").await;
    knows(&store, "before", None).await;
    let backup = kubectl_with(&ground, "create", &of_page("EtcdBackup"));
    becomes(&ground, &backup, "Proved").await;
    write(&maps, "after").await;
    let last = knows(&store, "after", None).await;

    let name = backup.rsplit('/').next().unwrap();
    let restored =
        Subject::create(&ground, "restored", json!({ "bootstrap": { "restore": { "backup": name } } })).await;
    let picture = restored.is_ready(3).await;
    let selector = picture.0.data["status"]["selector"].as_str().unwrap();
    doorway.leads_to.send_replace(selector.to_owned());
    // Nobody is started anew. What was written after the backup is gone, and whoever has seen it learns that.
    knows(&store, "before", Some("after")).await;
    until("the server takes writes", async || Ok(write_once(&maps, "again").await?.then_some(()))).await;
    let version = knows(&store, "again", Some("after")).await;
    assert!(version > last, "{version}: a version that was seen before would be taken for old news");
    watching.abort();
    server.process.kill();
}

/// Whether a ConfigMap could be created, or is there.
async fn write_once(maps: &Api<ConfigMap>, name: &str) -> anyhow::Result<bool> {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    match maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(true),
        Err(error) => Err(error.into()),
    }
}
