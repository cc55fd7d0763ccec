//! Coming in by the operator's own identity provider (OpenID Connect Core 1.0: authorization code, section 3.1, with PKCE, RFC 7636),
//! by a library that verifies the token; here is what it is asked, and what is made of its answers.
//!
//! ```text
//!   /login/oidc ──state, nonce, PKCE──▶ provider ──code, state──▶ /login/oidc/back ──▶ ID token ──▶ claims ──▶ who, and as what
//! ```
//!
//! Who somebody is, is the provider's word: its issuer and subject, which never change. As what they come, too: the values of a claim
//! are roles by the configuration, read again at each login, and whoever has none does not come in. That they have left is known
//! here at their next login; until then `staff end` is the way.
//!
//! A login that was begun lives in memory for ten minutes and counts once. It belongs to one browser: what that keeps is compared, so
//! that nobody comes in by an answer that was made for somebody else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use noroshi_law::evidence::Digest;
use noroshi_model::StaffRole;
use noroshi_model::staff::plain_name;
use noroshi_portal::DeskError;
use noroshi_portal::door::Away;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
    CoreIdTokenVerifier, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse,
    CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenFields, IssuerUrl,
    Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    StandardErrorResponse, StandardTokenResponse, TokenResponse as _, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ureq::Agent;
use ureq::tls::TlsConfig;

use super::token;
use crate::config::is_loopback;
use crate::sources::secret;
use crate::trust::roots;

/// How long somebody may be away.
const AWAY: Duration = Duration::from_secs(600);
/// Logins that may be under way at a time; when there are more, the oldest is over.
const AWAY_MAX: usize = 256;
/// How long one answer of the provider may take, and how large it may be.
const ANSWER: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// For how long the provider's metadata and keys are believed before they are asked for again.
const METADATA: Duration = Duration::from_secs(3600);
/// Where the provider sends the browser back to.
const BACK: &str = "/login/oidc/back";

/// `[console.oidc]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OidcFile {
    /// The provider, as its metadata names it, e.g. `https://login.example.jp/realms/staff`.
    pub issuer: String,
    /// What it calls this console.
    pub client_id: String,
    /// File with what the console proves itself with. Default: none, with PKCE alone (a public client).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// What people call the provider. Default: the issuer's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Scopes asked for besides `openid`. Default: `profile`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The claim that says what somebody is called. Default: `preferred_username`.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// The claim whose values say as what somebody comes, or a JSON pointer to it, e.g. `/realm_access/roles`. Default: `groups`.
    #[serde(default = "role_claim")]
    pub role_claim: String,
    /// Which of its values are which roles, e.g. `analyst = ["soc"]`.
    pub roles: BTreeMap<StaffRole, Vec<String>>,
    /// Certificates (PEM) by which the provider is believed instead of the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

fn scopes() -> Vec<String> {
    vec!["profile".into()]
}

fn name_claim() -> String {
    "preferred_username".into()
}

fn role_claim() -> String {
    "groups".into()
}

impl OidcFile {
    /// Whether it makes sense.
    pub fn check(&self) -> anyhow::Result<()> {
        let issuer = IssuerUrl::new(self.issuer.clone()).context("issuer is no address")?;
        let url = issuer.url();
        let at = format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(80));
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&at) => {}
            _ => bail!("issuer begins with https://; only this machine goes without"),
        }
        ensure!(!self.client_id.is_empty(), "it takes a client-id");
        let given = self.roles.values().flatten().count();
        ensure!(
            given > 0,
            "roles says which values of '{}' are which roles, e.g. analyst = [\"soc\"]",
            self.role_claim
        );
        Ok(())
    }

    /// What people call the provider.
    pub fn title(&self) -> String {
        let host = || Some(IssuerUrl::new(self.issuer.clone()).ok()?.url().host_str()?.to_owned());
        self.name.clone().or_else(host).unwrap_or_else(|| self.issuer.clone())
    }
}

/// All claims of a token, whatever they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Claims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Claims {}

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Provider = Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Who came, by the provider's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Issuer and subject.
    pub subject: String,
    /// What they are called.
    pub name: String,
    /// As what; may be nothing.
    pub roles: BTreeSet<StaffRole>,
}

/// A login that was begun.
struct Begun {
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    /// Of what the browser keeps.
    kept: Digest,
    at: Instant,
}

/// The console as a relying party.
pub struct Oidc {
    file: OidcFile,
    redirect: RedirectUrl,
    agent: Agent,
    begun: Mutex<HashMap<String, Begun>>,
    provider: Mutex<Option<(Arc<Provider>, Instant)>>,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Oidc({})", self.file.issuer)
    }
}

fn declined(what: &str, why: impl std::fmt::Display) -> DeskError {
    // Why exactly is for the operator's log; whoever tries learns that it did not work.
    tracing::warn!("identity provider: {what}: {why}");
    DeskError::Declined(what.to_owned())
}

fn unavailable(why: &anyhow::Error) -> DeskError {
    tracing::warn!("identity provider: {why:#}");
    DeskError::Unavailable(
        "the identity provider does not answer as it should; the program's log says how".into(),
    )
}

/// An answer that was no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

impl Oidc {
    /// For a console that is reached at an origin.
    pub fn new(file: OidcFile, origin: &str) -> anyhow::Result<Self> {
        let redirect = RedirectUrl::new(format!("{origin}{BACK}")).context("the console's address")?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // To follow would be to ask whatever address a provider names (openidconnect's security warning).
            .max_redirects(0)
            .timeout_global(Some(ANSWER))
            .max_idle_connections(0)
            .tls_config(TlsConfig::builder().root_certs(roots(file.ca_file.as_deref())?).build());
        let agent = config.build().new_agent();
        Ok(Self { file, redirect, agent, begun: Mutex::default(), provider: Mutex::default() })
    }

    /// What people call the provider.
    pub fn title(&self) -> String {
        self.file.title()
    }

    fn ask(&self, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
        let unanswered = |e: ureq::Error| Unanswered(e.to_string());
        let (head, mut body) = self.agent.run(request).map_err(unanswered)?.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(unanswered)?;
        Ok(HttpResponse::from_parts(head, body))
    }

    /// The provider by its metadata (OpenID Connect Discovery 1.0), asked for anew after an hour, or where `anew` is wanted because its
    /// keys have changed.
    fn provider(&self, anew: bool) -> anyhow::Result<Arc<Provider>> {
        let mut known = self.provider.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((provider, at)) = &*known
            && at.elapsed() < METADATA
            && !anew
        {
            return Ok(Arc::clone(provider));
        }
        let issuer = IssuerUrl::new(self.file.issuer.clone())?;
        let metadata = CoreProviderMetadata::discover(&issuer, &|request| self.ask(request))
            .with_context(|| format!("the metadata of {}", self.file.issuer))?;
        ensure!(metadata.token_endpoint().is_some(), "{} names no token endpoint", self.file.issuer);
        let proof = self.file.client_secret_file.as_deref().map(secret).transpose()?.map(ClientSecret::new);
        let provider =
            Provider::from_provider_metadata(metadata, ClientId::new(self.file.client_id.clone()), proof)
                .set_redirect_uri(self.redirect.clone());
        let provider = Arc::new(provider);
        *known = Some((Arc::clone(&provider), Instant::now()));
        Ok(provider)
    }

    /// Begins a login.
    pub fn begin(&self) -> Result<Away, DeskError> {
        let provider = self.provider(false).map_err(|e| unavailable(&e))?;
        let kept = token().ok_or_else(super::no_randomness)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = provider.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        for scope in &self.file.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        let begun = Begun { nonce, verifier, kept: Digest::of(kept.as_bytes()), at: Instant::now() };
        let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, begun| begun.at.elapsed() < AWAY);
        if all.len() >= AWAY_MAX {
            // Whoever only knocks must not keep others out.
            let oldest = all.iter().min_by_key(|(_, begun)| begun.at).map(|(state, _)| state.clone());
            oldest.map(|state| all.remove(&state));
        }
        all.insert(state.into_secret(), begun);
        Ok(Away { url: url.to_string(), kept })
    }

    /// Who came back, by the query of the address that the provider sent them to, and what their browser had kept.
    pub fn finish(&self, query: &str, kept: &str) -> Result<Known, DeskError> {
        const FAILED: &str = "the identity provider's answer does not open the console";
        let back = Back::read(query);
        let taken = self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&back.state);
        let begun = taken
            .filter(|begun| begun.at.elapsed() < AWAY && begun.kept == Digest::of(kept.as_bytes()))
            .ok_or_else(|| {
                declined("it took too long, or was begun in another browser; begin again", "no such login")
            })?;
        if let Some(error) = back.error {
            return Err(declined("the identity provider did not let you in", error));
        }
        // RFC 9207: an answer of another provider is none of ours.
        if back.iss.is_some_and(|iss| iss != self.file.issuer) {
            return Err(declined(FAILED, "of another issuer"));
        }
        let code = back.code.ok_or_else(|| declined(FAILED, "without a code"))?;
        let provider = self.provider(false).map_err(|e| unavailable(&e))?;
        let exchange =
            provider.exchange_code(AuthorizationCode::new(code)).map_err(|e| declined(FAILED, e))?;
        let tokens = exchange
            .set_pkce_verifier(begun.verifier)
            .request(&|request| self.ask(request))
            .map_err(|e| declined(FAILED, anyhow::Error::new(e)))?;
        let id_token = tokens.id_token().ok_or_else(|| declined(FAILED, "without an ID token"))?;
        let claims = match id_token.claims(&verifier(&provider), &begun.nonce) {
            Ok(claims) => claims,
            // Its keys may have changed since they were asked for.
            Err(_) => {
                let newer = self.provider(true).map_err(|e| unavailable(&e))?;
                id_token.claims(&verifier(&newer), &begun.nonce).map_err(|e| declined(FAILED, e))?
            }
        };
        let mut all = serde_json::to_value(claims).map_err(|e| declined(FAILED, e))?;
        if self.values(&all).is_none() || self.name(&all).is_none() {
            self.ask_more(&provider, &tokens, claims.subject(), &mut all)?;
        }
        let subject = format!("{} {}", self.file.issuer, claims.subject().as_str());
        let name = self.name(&all).ok_or_else(|| {
            declined(
                "the identity provider does not say what you are called",
                format!("no '{}'", self.file.name_claim),
            )
        })?;
        Ok(Known { subject, name, roles: self.roles(&all) })
    }

    /// What the token does not say, the provider may say when it is asked (section 5.3).
    fn ask_more(
        &self,
        provider: &Provider,
        tokens: &StandardTokenResponse<Fields, CoreTokenType>,
        subject: &openidconnect::SubjectIdentifier,
        all: &mut Value,
    ) -> Result<(), DeskError> {
        let access = tokens.access_token().to_owned();
        let Ok(request) = provider.user_info(access, Some(subject.clone())) else { return Ok(()) };
        let more: UserInfoClaims<Claims, CoreGenderClaim> = request
            .request(&|request| self.ask(request))
            .map_err(|e| unavailable(&anyhow::Error::new(e).context("who somebody is")))?;
        let more = serde_json::to_value(more).unwrap_or_default();
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
            // What is signed counts before what is only said.
            for (name, value) in more {
                all.entry(name).or_insert(value);
            }
        }
        Ok(())
    }

    fn name(&self, claims: &Value) -> Option<String> {
        plain_name(claim(claims, &self.file.name_claim)?.as_str()?)
    }

    /// The values of the claim of roles.
    fn values(&self, claims: &Value) -> Option<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match claim(claims, &self.file.role_claim)? {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(many) => Some(many.iter().filter_map(text).collect()),
            _ => None,
        }
    }

    fn roles(&self, claims: &Value) -> BTreeSet<StaffRole> {
        let values = self.values(claims).unwrap_or_default();
        let has = |named: &Vec<String>| named.iter().any(|value| values.contains(value));
        self.file.roles.iter().filter(|(_, named)| has(named)).map(|(role, _)| *role).collect()
    }
}

/// Only what is signed by a key of the provider's counts, whatever its metadata and the token say: neither `none` nor what the
/// console could have made itself.
fn verifier(provider: &Provider) -> CoreIdTokenVerifier<'_> {
    use CoreJwsSigningAlgorithm as By;
    provider.id_token_verifier().set_allowed_algs([
        By::EcdsaP256Sha256,
        By::EcdsaP384Sha384,
        By::EdDsa,
        By::RsaSsaPkcs1V15Sha256,
        By::RsaSsaPkcs1V15Sha384,
        By::RsaSsaPkcs1V15Sha512,
        By::RsaSsaPssSha256,
        By::RsaSsaPssSha384,
        By::RsaSsaPssSha512,
    ])
}

/// A claim by its name, or by a JSON pointer.
fn claim<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    if name.starts_with('/') { claims.pointer(name) } else { claims.get(name) }
}

/// What the provider sends back in the address (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Debug, Default)]
struct Back {
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

impl Back {
    fn read(query: &str) -> Self {
        let mut back = Self::default();
        for (name, value) in openidconnect::url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "state" => back.state = value.into_owned(),
                "code" => back.code = Some(value.into_owned()),
                "error" => back.error = Some(value.into_owned()),
                "iss" => back.iss = Some(value.into_owned()),
                _ => {}
            }
        }
        back
    }
}

#[cfg(test)]
mod tests;
