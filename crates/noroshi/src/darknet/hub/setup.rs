//! What a new sensor needs: a configuration for its own NATS server, one for the hub's with all sensors in it, and the commands that make
//! the certificates. An operator puts files in two places and starts two servers.
//!
//! Who a sensor is, its certificate says (`verify_and_map`): there is no password on the way. It may answer the hub in an inbox of its own
//! and be asked for its own stream, and nothing else: a sensor that was broken into sees and reaches no other.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;
use noroshi_wire::batch::SensorName;

use super::ledger::Ledgers;
use crate::darknet::nats::stream_of;
use crate::keys;
use crate::report::say;

/// Where leaf servers connect to, unless said otherwise.
const LEAF_PORT: u16 = 7422;

/// Write what a new sensor needs
#[derive(Debug, Args)]
pub struct New {
    /// The sensor's name: small letters, digits and hyphens
    pub name: SensorName,
    /// The hub's host, as sensors reach it, with the port [default port: 7422]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub hub: String,
    /// Where the files are written [default: `sensors/nats` in the data folder]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Address and port at which the hub's server waits for sensors
    #[arg(long, value_name = "AT", default_value = "0.0.0.0:7422")]
    pub listen: String,
    /// Address and port at which the hub itself reaches it, on this machine
    #[arg(long, value_name = "AT", default_value = "127.0.0.1:4222")]
    pub client_listen: String,
    /// Address and port at which the sensor reaches its own, on its machine
    #[arg(long, value_name = "AT", default_value = "127.0.0.1:4222")]
    pub leaf_listen: String,
    /// Where the sensor's server keeps what the hub has not taken yet
    #[arg(long, value_name = "DIR", default_value = "/var/lib/nats/noroshi")]
    pub store: PathBuf,
    /// Most GiB of that
    #[arg(long, value_name = "GIB", default_value_t = 20)]
    pub store_gib: u32,
}

/// Makes the files, and says what to do with them.
pub fn make(ledgers: &Ledgers, wish: &New) -> anyhow::Result<()> {
    let (host, port) = wish.hub.rsplit_once(':').unwrap_or((&wish.hub, ""));
    let port = if port.is_empty() { LEAF_PORT } else { port.parse().context("the hub's port")? };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    ensure!(
        !host.is_empty() && host.chars().all(plain),
        "--hub is a host's name or IPv4 address, and a port"
    );
    // Their files would be those of others.
    ensure!(!["hub", "ca"].contains(&wish.name.as_str()), "no sensor is called {}", wish.name);
    keys::private_folder(ledgers.folder())?;
    let password = |name: &str| -> anyhow::Result<String> {
        let made = || Ok(format!("{}\n", data_encoding::BASE32_NOPAD.encode(&random()?)).into_bytes());
        Ok(String::from_utf8(keys::read_or_make(ledgers.folder(), name, made)?)?.trim().to_owned())
    };
    let folder = wish.folder.clone().unwrap_or_else(|| ledgers.folder().join("nats"));
    keys::private_folder(&folder)?;
    if !ledgers.sensors()?.contains(&wish.name) {
        ledgers.write(&wish.name, &ledgers.read(&wish.name)?)?;
    }
    let of_hub = hub(wish, &ledgers.sensors()?, &password("hub.password")?);
    let sensor_password = format!("{}.password", wish.name);
    let of_leaf = leaf(wish, host, port, &password(&sensor_password)?);
    let (hub_file, leaf_file) = ("hub.conf".to_owned(), format!("{}.conf", wish.name));
    write(&folder, &hub_file, &of_hub)?;
    write(&folder, &leaf_file, &of_leaf)?;
    write(&folder, "certificates.sh", &certificates(host, &wish.name))?;
    let (at, name, passwords) = (folder.display(), &wish.name, ledgers.folder().display());
    say!("written to {at}: {hub_file}, {leaf_file}, certificates.sh");
    say!("1. here:      cd {at} && sh certificates.sh");
    say!("2. here:      nats-server -c {hub_file}      (or reload it: it has all sensors)");
    say!("3. to {name}: {leaf_file}, ca.pem, {name}.pem, {name}.key and {passwords}/{sensor_password}");
    say!("4. there:     nats-server -c {leaf_file}");
    say!(
        "5. there:     noroshi sensor --name {name} --user sensor --password-file {sensor_password} --interface …"
    );
    say!("6. here:      noroshi darknet hub --user hub --password-file {passwords}/hub.password");
    Ok(())
}

fn random() -> anyhow::Result<[u8; 20]> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; 20];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| anyhow::anyhow!("the system gave no randomness"))?;
    Ok(bytes)
}

/// For the owner only, since a password is in it.
fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// The hub's server: one account, in which each sensor may do what it has to and no more.
fn hub(wish: &New, sensors: &[SensorName], password: &str) -> String {
    let mut users =
        format!("      {{ user: hub, password: \"{password}\", allowed_connection_types: [STANDARD] }}\n");
    for name in sensors {
        let stream = stream_of(name.as_str());
        let _infallible = write!(
            users,
            "      {{ user: \"CN={name}\", allowed_connection_types: [LEAFNODE]\n        permissions: {{\n          \
             publish: {{ allow: [\"_INBOX.{name}.>\"] }}\n          \
             subscribe: {{ allow: [\"$JS.{name}.API.>\", \"$JS.ACK.{stream}.>\"] }}\n        }} }}\n"
        );
    }
    format!(
        "# The hub's nats-server. Made by `noroshi darknet sensors new`, which makes it anew for each sensor.\n\
         server_name: noroshi-hub\nlisten: \"{}\"\n\
         # A link that is cut is noticed after so long.\nping_interval: \"5s\"\nping_max: 3\n\
         accounts {{\n  SENSORS {{\n    users: [\n{users}    ]\n  }}\n}}\n\
         leafnodes {{\n  listen: \"{}\"\n  tls {{\n    cert_file: \"hub.pem\"\n    key_file: \"hub.key\"\n    \
         ca_file: \"ca.pem\"\n    # Who a sensor is, its certificate says.\n    verify_and_map: true\n    timeout: 10\n  }}\n}}\n",
        wish.client_listen, wish.listen
    )
}

/// The sensor's server.
fn leaf(wish: &New, host: &str, port: u16, password: &str) -> String {
    let New { name, leaf_listen, store, store_gib, .. } = wish;
    format!(
        "# The nats-server of the sensor {name}. Made by `noroshi darknet sensors new`.\n\
         server_name: \"noroshi-{name}\"\nlisten: \"{leaf_listen}\"\nping_interval: \"5s\"\nping_max: 3\n\
         authorization {{ user: sensor, password: \"{password}\" }}\n\
         jetstream {{ store_dir: \"{}\", domain: \"{name}\", max_file_store: {store_gib}GB }}\n\
         leafnodes {{\n  reconnect: 2\n  remotes: [\n    {{\n      url: \"tls://{host}:{port}\"\n      tls {{\n        \
         cert_file: \"{name}.pem\"\n        key_file: \"{name}.key\"\n        ca_file: \"ca.pem\"\n        timeout: 10\n      }}\n    }}\n  ]\n}}\n",
        store.display()
    )
}

/// Certificates: one who vouches, the hub's, the sensor's. What is there already stays.
fn certificates(host: &str, name: &SensorName) -> String {
    let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
    format!(
        "#!/bin/sh\n# Made by `noroshi darknet sensors new`. ca.key stays here; so does hub.key.\nset -eu\numask 077\n\
         new='req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc'\n\
         [ -e ca.pem ] || openssl $new -x509 -days 3650 -subj '/CN=noroshi sensors' -keyout ca.key -out ca.pem \\\n    \
         -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'\n\
         signed() {{\n    [ -e \"$1.pem\" ] && return\n    openssl $new -subj \"/CN=$1\" -keyout \"$1.key\" -out \"$1.csr\"\n    \
         printf '%s\\n' \"$2\" 'basicConstraints=critical,CA:FALSE' > \"$1.ext\"\n    \
         openssl x509 -req -in \"$1.csr\" -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -extfile \"$1.ext\" -out \"$1.pem\"\n    \
         rm \"$1.csr\" \"$1.ext\"\n}}\n\
         signed hub 'subjectAltName={kind}:{host}'\nsigned {name} 'extendedKeyUsage=clientAuth'\n"
    )
}
