//! The few files beside the pages. They are part of the program, so that a page never lacks its looks, and each name carries
//! its file's hash, so that a browser keeps it for ever and still never shows an old one.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use noroshi_law::evidence::Digest;

const ICON: &str = include_str!("../assets/icon.svg");
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const A_DAY: &str = "public, max-age=86400";

/// A file, and the name under which it is to be had.
pub(crate) struct Asset {
    name: String,
    kind: &'static str,
    body: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, body: &'static str) -> Self {
        let hash = Digest::of(body.as_bytes()).to_string();
        Self { name: format!("{stem}-{}.{ending}", &hash[..16]), kind, body }
    }

    fn path(&self) -> String {
        format!("{FOLDER}{}", self.name)
    }
}

static CSS: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("portal", "css", "text/css; charset=utf-8", include_str!("../assets/portal.css"))
});
static PASSKEY: LazyLock<Asset> = LazyLock::new(|| script("passkey", include_str!("../assets/passkey.js")));
static LIVE: LazyLock<Asset> = LazyLock::new(|| script("live", include_str!("../assets/live.js")));
static KEYS: LazyLock<Asset> = LazyLock::new(|| script("keys", include_str!("../assets/keys.js")));
// What the views have in common comes first in each: a script cannot import another whose name carries a hash.
static MAP: LazyLock<Asset> = LazyLock::new(|| {
    script("map", concat!(include_str!("../assets/sky.js"), include_str!("../assets/map.js")))
});
static SPHERE: LazyLock<Asset> = LazyLock::new(|| {
    script("sphere", concat!(include_str!("../assets/sky.js"), include_str!("../assets/sphere.js")))
});
static WORLD: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("world", "json", "application/json; charset=utf-8", include_str!("../assets/world.json"))
});

fn script(stem: &str, body: &'static str) -> Asset {
    Asset::new(stem, "js", "text/javascript; charset=utf-8", body)
}

/// Below which the assets lie.
pub(crate) const FOLDER: &str = "/assets/";
/// Where browsers look for an icon by themselves.
pub(crate) const ICON_PATH: &str = "/favicon.ico";

/// The style sheet itself, for a page that stands alone.
pub(crate) fn css() -> &'static str {
    CSS.body
}

/// The style sheet's address.
pub(crate) fn css_path() -> String {
    CSS.path()
}

/// The address of the script that makes and uses passkeys.
pub(crate) fn passkey_path() -> String {
    PASSKEY.path()
}

type Served = &'static [&'static LazyLock<Asset>];
/// The subscribers' files: looks, no scripts.
const FOR_SUBSCRIBERS: Served = &[&CSS];
/// The console's.
const FOR_THE_CONSOLE: Served = &[&CSS, &PASSKEY, &LIVE, &KEYS, &MAP, &SPHERE, &WORLD];

/// The address of the script that keeps Today as it is now.
pub(crate) fn live_path() -> String {
    LIVE.path()
}

/// The address of the script that draws the map.
pub(crate) fn map_path() -> String {
    MAP.path()
}

/// The address of the script that draws the sphere.
pub(crate) fn sphere_path() -> String {
    SPHERE.path()
}

/// The address of the land, and of where each country is.
pub(crate) fn world_path() -> String {
    WORLD.path()
}

/// The address of the script that makes the console one of the keyboard.
pub(crate) fn keys_path() -> String {
    KEYS.path()
}

/// The subscribers' files.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    serving(FOR_SUBSCRIBERS)
}

/// The console's.
pub(crate) fn console_routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    serving(FOR_THE_CONSOLE)
}

fn serving<S: Clone + Send + Sync + 'static>(assets: Served) -> Router<S> {
    let file = async move |Path(name): Path<String>| {
        let found = assets.iter().find(|asset| asset.name == name);
        found.map_or(StatusCode::NOT_FOUND.into_response(), |asset| sent(asset))
    };
    Router::new().route("/assets/{file}", get(file)).route(ICON_PATH, get(icon))
}

fn sent(asset: &Asset) -> Response {
    ([(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, FOR_EVER)], asset.body).into_response()
}

async fn icon() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, A_DAY)], ICON).into_response()
}
