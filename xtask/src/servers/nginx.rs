//! A private nginx that serves a folder, over HTTP and HTTPS, packed where the client takes that: validators, ranges and
//! refusals as the web really gives them.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::keeper::{Keeper, printed};
use super::{Ready, apt, certificate, free_port, on_path, server_folder, wait_until};

pub const HOW: &str = "install nginx (Debian: apt-get install nginx-light)";

pub fn start() -> Result<Ready> {
    if on_path("nginx").is_none() {
        apt::install(&["nginx-light"])?;
    }
    let nginx = on_path("nginx").context("installed, yet not found")?;
    let dir = server_folder("nginx")?;
    let path = dir.path().to_path_buf();
    let (port, tls_port) = (free_port()?, free_port()?);
    fs::create_dir(path.join("files"))?;
    certificate::make(&path)?;
    fs::write(path.join("nginx.conf"), conf(&path, port, tls_port))?;
    let mut server = Command::new(nginx);
    server.arg("-c").arg(path.join("nginx.conf")).arg("-p").arg(&path);
    let keeper = Keeper::start(dir, "TERM", &server)?;
    wait_until(|| Ok(TcpStream::connect(("127.0.0.1", tls_port)).map(drop)?))
        .with_context(|| format!("it printed: {}", printed(&path)))?;
    Ok(Ready {
        version: "started".to_owned(),
        environment: vec![
            ("NOROSHI_TEST_NGINX", format!("http://127.0.0.1:{port}")),
            ("NOROSHI_TEST_NGINX_TLS", format!("https://localhost:{tls_port}")),
            ("NOROSHI_TEST_NGINX_FOLDER", path.display().to_string()),
        ],
        _keeper: Some(keeper),
    })
}

fn conf(dir: &Path, port: u16, tls_port: u16) -> String {
    let dir = dir.display();
    format!(
        "daemon off;
pid {dir}/pid;
error_log {dir}/error.log;
events {{}}
http {{
    log_format plain '$request_method $uri $status';
    access_log {dir}/access.log plain;
    types {{ text/csv csv; text/plain txt; }}
    gzip on;
    gzip_types text/csv;
    gzip_min_length 1;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {dir}/cert.pem;
        ssl_certificate_key {dir}/key.pem;
        root {dir}/files;
    }}
}}
"
    )
}
