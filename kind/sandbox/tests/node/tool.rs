//! What runs inside the containers of these tests: this very program as `/tool`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Runs the tool and ends, if this process is the first of a container.
pub(crate) fn run_if_in_container() {
    let mut arguments = std::env::args();
    if arguments.next().as_deref() != Some("/tool") {
        return;
    }
    let arguments: Vec<String> = arguments.collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    std::process::exit(match words.as_slice() {
        ["print", text, code] => {
            println!("{text}");
            code.parse().unwrap_or(99)
        }
        ["serve", port] => serve("0.0.0.0", port),
        ["serve-locally", port] => serve("127.0.0.1", port),
        ["echo", code] => echo(code),
        ["get", target] => i32::from(get(target).is_err()),
        ["terminal"] => show_terminal(),
        ["about"] => about(),
        ["tick"] => loop {
            println!("tick");
            std::thread::sleep(Duration::from_millis(20));
        },
        ["sleep"] => loop {
            std::thread::sleep(Duration::from_secs(1000));
        },
        // Fails the first time and leaves a trace, succeeds the second time.
        ["second-time", path] => {
            i32::from(!std::path::Path::new(path).exists() && std::fs::write(path, "seen").is_ok())
        }
        ["touch", path] => i32::from(std::fs::write(path, "touched").is_err()),
        other => {
            eprintln!("unknown command {other:?}");
            98
        }
    })
}

/// Gives its input back.
fn echo(code: &str) -> i32 {
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()).expect("input becomes output");
    eprintln!("end of input");
    code.parse().unwrap_or(99)
}

/// Answers each line with the size of the terminal.
fn show_terminal() -> i32 {
    for _line in std::io::stdin().lines() {
        let size = terminal_size();
        println!("{} lines, {} columns", size.0, size.1);
    }
    95
}

/// Lines and columns, as `stty size` finds them.
#[allow(unsafe_code)]
fn terminal_size() -> (u16, u16) {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes a winsize to the place that is given, which is one.
    unsafe { nix::libc::ioctl(0, nix::libc::TIOCGWINSZ, &mut size) };
    (size.ws_row, size.ws_col)
}

/// Tells as whom and where it runs.
fn about() -> i32 {
    let here = std::env::current_dir().expect("there is a working directory");
    let mut input = String::new();
    let empty = std::io::stdin().read_to_string(&mut input).is_ok() && input.is_empty();
    let variable = std::env::var("WHERE").unwrap_or_default();
    let input = if empty { "empty" } else { "not empty" };
    println!("user {} in {}, WHERE={variable}, input {input}", nix::unistd::getuid(), here.display());
    0
}

/// Answers questions about the container over HTTP; `GET /exit/3` ends it.
fn serve(address: &str, port: &str) -> i32 {
    let listener = TcpListener::bind(format!("{address}:{port}")).expect("the port is free");
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || answer(stream));
    }
    97
}

fn answer(mut stream: TcpStream) {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone().expect("a socket is cloned"));
    if reader.read_line(&mut line).is_err() {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let question = path.trim_start_matches('/');
    let (what, rest) = question.split_once('/').unwrap_or((question, ""));
    let outcome = match what {
        "file" => std::fs::read_to_string(format!("/{rest}")),
        "write" => std::fs::write(format!("/{rest}"), "written").map(|()| String::new()),
        "environment" => Ok(std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect()),
        "lookup" => lookup(rest),
        "services" => services(rest),
        "get" => get(rest),
        "in-cluster" => in_cluster(),
        "identity" => std::fs::read_to_string("/proc/self/status"),
        "processes" => processes(),
        "exit" => std::process::exit(rest.parse().unwrap_or(96)),
        _ => Ok(String::new()),
    };
    let (status, body) = match outcome {
        Ok(body) => ("200 OK", body),
        Err(error) => ("500 Internal Server Error", error.to_string()),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn lookup(name: &str) -> std::io::Result<String> {
    use std::net::ToSocketAddrs as _;
    let mut found: Vec<String> =
        (name, 0).to_socket_addrs()?.map(|address| address.ip().to_string()).collect();
    found.sort();
    found.dedup();
    Ok(found.join(" "))
}

/// `udp/name` or `tcp/name`: where that service is, as the pod's name server says.
fn services(question: &str) -> std::io::Result<String> {
    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::{Name, RData, RecordType};
    use std::io::{Error, ErrorKind};
    let (transport, name) = question.split_once('/').ok_or(ErrorKind::InvalidInput)?;
    let configuration = std::fs::read_to_string("/etc/resolv.conf")?;
    let server = configuration.lines().find_map(|line| line.strip_prefix("nameserver "));
    let server = (server.ok_or(ErrorKind::NotFound)?, 53);
    let mut question = Message::new(1, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::from_ascii(name).map_err(Error::other)?, RecordType::SRV));
    let question = question.to_vec().map_err(Error::other)?;
    let reply = if transport == "tcp" { over_tcp(server, &question)? } else { over_udp(server, &question)? };
    let reply = Message::from_vec(&reply).map_err(Error::other)?;
    let mut found: Vec<String> = reply
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(service) => Some(format!("{}:{}", service.target, service.port)),
            _ => None,
        })
        .collect();
    found.sort();
    Ok(found.join(" "))
}

fn over_udp(server: (&str, u16), question: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect(server)?;
    socket.send(question)?;
    let mut reply = vec![0; 4096];
    let length = socket.recv(&mut reply)?;
    reply.truncate(length);
    Ok(reply)
}

fn over_tcp(server: (&str, u16), question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[length.to_be_bytes().as_slice(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

/// `address:port/path`.
fn get(target: &str) -> std::io::Result<String> {
    let (address, path) = target.split_once('/').unwrap_or((target, ""));
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /{path} HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn processes() -> std::io::Result<String> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        numbers.extend(name.parse::<u32>().ok());
    }
    numbers.sort_unstable();
    Ok(numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
}

/// Lists the pods of the own namespace, as the ServiceAccount of the pod.
fn in_cluster() -> std::io::Result<String> {
    use k8s_openapi::api::core::v1::Pod;
    let failed = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = kube::Client::try_default().await.map_err(|error| failed(&error))?;
        let pods: kube::Api<Pod> = kube::Api::default_namespaced(client);
        let pods = pods.list(&kube::api::ListParams::default()).await.map_err(|error| failed(&error))?;
        Ok(pods.items.into_iter().filter_map(|pod| pod.metadata.name).collect::<Vec<_>>().join(" "))
    })
}
