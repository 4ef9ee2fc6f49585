//! Programs that somebody talks to: exec, attach and port forwarding, with kube's client and with kubectl.

use crate::harness::{Fixture, Test, cached, eventually};
use crate::tests;
use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess, PostParams, TerminalSize};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        exec_carries_input_output_errors_and_the_exit_code,
        exec_gives_a_terminal_that_knows_its_size,
        exec_runs_as_the_container_does_and_ends_with_its_client,
        exec_says_why_it_can_not,
        attach_shows_what_the_container_writes_from_now_on,
        a_forwarded_port_reaches_what_listens_on_loopback_in_the_pod,
        kubectl_executes_with_input_and_takes_over_the_exit_code,
    ]
}

/// A running pod with one container of the tool.
async fn start(fixture: &Fixture, arguments: Value) -> anyhow::Result<Api<Pod>> {
    let pods: Api<Pod> = Api::namespaced(fixture.client.clone(), "default");
    let pod = json!({
        "metadata": {"name": "host"},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
            "name": "main", "image": "tool:v1", "args": arguments, "env": [{"name": "WHERE", "value": "inside"}],
            "workingDir": "/tmp/work", "volumeMounts": [{"name": "work", "mountPath": "/tmp/work"}],
            "securityContext": {"runAsUser": 1234},
        }], "volumes": [{"name": "work", "emptyDir": {}}]},
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await.context("creating the pod")?;
    eventually("the pod to run", async || {
        let status = pods.get("host").await?.status.unwrap_or_default();
        let statuses = status.container_statuses.unwrap_or_default();
        let running =
            statuses.iter().any(|one| one.state.as_ref().is_some_and(|state| state.running.is_some()));
        Ok(running.then_some(()))
    })
    .await?;
    Ok(pods)
}

fn piped() -> AttachParams {
    AttachParams::default().stdin(true).stdout(true).stderr(true)
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> anyhow::Result<String> {
    let mut text = String::new();
    stream.context("the stream is there")?.read_to_string(&mut text).await?;
    Ok(text)
}

async fn status_of(process: &mut AttachedProcess) -> anyhow::Result<Status> {
    process.take_status().context("the status is taken once")?.await.context("a status comes")
}

fn exit_code(status: &Status) -> Option<String> {
    let causes = status.details.as_ref()?.causes.as_ref()?;
    causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"))?.message.clone()
}

async fn exec_carries_input_output_errors_and_the_exit_code() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let pods = start(&fixture, json!(["sleep"])).await?;
    let mut process = pods.exec("host", ["/tool", "echo", "7"], &piped()).await?;
    let mut stdin = process.stdin().context("there is input")?;
    // More than a pipe holds, so that both directions have to flow at once.
    let long = "0123456789abcdef".repeat(20_000);
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let write = async {
        stdin.write_all(long.as_bytes()).await?;
        stdin.shutdown().await?;
        drop(stdin);
        anyhow::Ok(())
    };
    let (written, output, errors) = tokio::join!(write, read(stdout), read(stderr));
    written?;
    ensure!(output? == long, "the output is not the input");
    let errors = errors?;
    ensure!(errors == "end of input\n", "the errors are {errors:?}");
    let status = status_of(&mut process).await?;
    ensure!(status.reason.as_deref() == Some("NonZeroExitCode"), "the status is {status:?}");
    ensure!(exit_code(&status).as_deref() == Some("7"), "the status is {status:?}");
    process.join().await?;
    let mut well = pods.exec("host", ["/tool", "print", "done", "0"], &AttachParams::default()).await?;
    ensure!(read(well.stdout()).await? == "done\n");
    let status = status_of(&mut well).await?;
    ensure!(status.status.as_deref() == Some("Success"), "the status is {status:?}");
    fixture.stop().await
}

async fn exec_gives_a_terminal_that_knows_its_size() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let pods = start(&fixture, json!(["sleep"])).await?;
    let parameters = AttachParams::interactive_tty();
    let mut process = pods.exec("host", ["/tool", "terminal"], &parameters).await?;
    let (mut stdin, mut stdout) =
        (process.stdin().context("there is input")?, process.stdout().context("there is output")?);
    let mut sizes = process.terminal_size().context("there is a terminal")?;
    futures::SinkExt::send(&mut sizes, TerminalSize { width: 100, height: 40 }).await?;
    let mut seen = String::new();
    let look = async {
        let mut piece = vec![0; 1024];
        while !seen.contains("40 lines, 100 columns") {
            // The size arrives beside the input, so ask until it is there.
            stdin.write_all(b"size\n").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let count = stdout.read(&mut piece).await?;
            ensure!(count > 0, "the terminal ended");
            seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        // Control-C, which only a terminal of the program's own turns into a signal.
        stdin.write_all(&[3]).await?;
        anyhow::Ok(())
    };
    let looked = tokio::time::timeout(Duration::from_secs(20), look).await;
    looked.with_context(|| format!("the terminal shows {seen:?}"))??;
    let status = status_of(&mut process).await?;
    ensure!(exit_code(&status).as_deref() == Some("130"), "the status is {status:?}");
    fixture.stop().await
}

async fn exec_runs_as_the_container_does_and_ends_with_its_client() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let pods = start(&fixture, json!(["serve", "8080"])).await?;
    let mut about = pods.exec("host", ["/tool", "about"], &AttachParams::default()).await?;
    let output = read(about.stdout()).await?;
    ensure!(output == "user 1234 in /tmp/work, WHERE=inside, input empty\n", "it says {output:?}");
    let before = fixture.ask("host", 8080, "processes").await?;
    let long = pods.exec("host", ["/tool", "sleep"], &AttachParams::default()).await?;
    eventually("the program to run", async || {
        Ok((fixture.ask("host", 8080, "processes").await? != before).then_some(()))
    })
    .await?;
    long.abort();
    drop(long);
    eventually("the program to be gone", async || {
        Ok((fixture.ask("host", 8080, "processes").await? == before).then_some(()))
    })
    .await?;
    fixture.stop().await
}

async fn exec_says_why_it_can_not() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let pods = start(&fixture, json!(["sleep"])).await?;
    let mut absent = pods.exec("host", ["/no/such/program"], &AttachParams::default()).await?;
    let status = status_of(&mut absent).await?;
    ensure!(status.code == Some(500), "the status is {status:?}");
    let message = status.message.unwrap_or_default();
    ensure!(message.contains("error executing command in container") && message.contains("/no/such/program"));
    let path = "/api/v1/namespaces/default/pods/host/exec?command=x&stdout=true";
    for (path, why) in [
        (path.to_owned(), "Upgrade request required"),
        (format!("{path}&container=other"), "container other is not valid for pod host"),
        (path.replace("host", "nobody"), "pods \"nobody\" not found"),
    ] {
        let refused = fixture.client.request_text(http::Request::get(&path).body(Vec::new())?).await;
        let Err(kube::Error::Api(status)) = refused else { anyhow::bail!("{path} was not refused") };
        ensure!(status.message == why, "{path}: {status:?}");
    }
    fixture.stop().await
}

async fn attach_shows_what_the_container_writes_from_now_on() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let pods = start(&fixture, json!(["tick"])).await?;
    let mut attached = pods.attach("host", &AttachParams::default().stderr(false)).await?;
    let mut stdout = attached.stdout().context("there is output")?;
    let mut piece = vec![0; 64];
    let count = stdout.read(&mut piece).await?;
    ensure!(piece[..count].starts_with(b"tick\n"), "it shows {:?}", String::from_utf8_lossy(&piece[..count]));
    fixture.stop().await
}

async fn a_forwarded_port_reaches_what_listens_on_loopback_in_the_pod() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let pods = start(&fixture, json!(["serve-locally", "8080"])).await?;
    let answer = eventually("the pod to answer", async || {
        let mut forwarder = pods.portforward("host", &[8080]).await?;
        let mut stream = forwarder.take_stream(8080).context("the port is forwarded")?;
        stream.write_all(b"GET /environment HTTP/1.0\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    })
    .await?;
    ensure!(answer.contains("WHERE=inside"), "the answer is {answer:?}");
    let mut forwarder = pods.portforward("host", &[9]).await?;
    let error = forwarder.take_error(9).context("the port has errors")?.await.unwrap_or_default();
    ensure!(error.contains("error forwarding port 9") && error.contains("refused"), "the error is {error:?}");
    fixture.stop().await
}

async fn kubectl_executes_with_input_and_takes_over_the_exit_code() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    start(&fixture, json!(["sleep"])).await?;
    let mut kubectl = tokio::process::Command::new(cached("bin/kubectl")?)
        .arg("--kubeconfig")
        .arg(fixture.sandbox.kubeconfig_path())
        .args(["exec", "-i", "host", "--", "/tool", "echo", "3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting kubectl")?;
    let mut stdin = kubectl.stdin.take().context("kubectl has input")?;
    stdin.write_all(b"from the keyboard\n").await?;
    drop(stdin);
    let ended = kubectl.wait_with_output().await?;
    let (output, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    ensure!(output == "from the keyboard\n", "kubectl says {output:?} and {errors:?}");
    ensure!(errors.starts_with("end of input\n"), "kubectl says {errors:?}");
    ensure!(ended.status.code() == Some(3), "kubectl ended with {} and {errors:?}", ended.status);
    fixture.stop().await
}
