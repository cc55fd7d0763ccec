//! The rulebook as Cedar policy text, which a lawyer can read and a validator checks against a schema.
//!
//! The text is in `policies/`: `limits.cedar` (what no measure may exceed), `measures.cedar` (what is allowed, one rule per
//! settlement), `schema.cedarschema` (what rules can speak of). Cedar is evaluated once per measure, role, purpose and
//! field set, never per record; it lives in this leaf crate because building it takes longer than everything else.
//!
//! [`check`] puts every class of requests to a rulebook and holds its answers against [`law`], which is written by hand.

pub mod check;
pub mod law;

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
    Schema, ValidationMode, Validator,
};
use noroshi_law::evidence::Digest;
use noroshi_law::gate::{date_number, day_number};
use noroshi_law::{Ask, Dossier, Rulebook, Ruling, Standing};

const SCHEMA: &str = include_str!("../policies/schema.cedarschema");
const LIMITS: &str = include_str!("../policies/limits.cedar");
const MEASURES: &str = include_str!("../policies/measures.cedar");

/// The rule named where no rule allows an ask.
pub const NO_RULE: &str = "no-rule-permits";

/// The text of the rules shipped with noroshi.
pub fn shipped_text() -> String {
    format!("{LIMITS}\n{MEASURES}")
}

/// Why a policy set is refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The text does not parse.
    #[error("policy text does not parse: {0}")]
    Syntax(String),
    /// It parses but does not fit the schema.
    #[error("policy text does not fit the schema: {0}")]
    Invalid(String),
    /// A policy without an `@id` could not be named in a refusal.
    #[error("every policy needs an @id, and no two the same: {0}")]
    Unnamed(String),
}

/// A validated policy set.
pub struct CedarRulebook {
    policies: PolicySet,
    schema: Schema,
    authorizer: Authorizer,
    reasons: BTreeMap<String, String>,
    japanese: BTreeMap<String, String>,
    digest: Digest,
}

impl std::fmt::Debug for CedarRulebook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CedarRulebook({} rules, {})", self.reasons.len(), self.digest)
    }
}

impl CedarRulebook {
    /// The policies shipped with noroshi.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::read(&shipped_text())
    }

    /// Reads and strictly validates policy text.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        let (schema, _) =
            Schema::from_cedarschema_str(SCHEMA).map_err(|e| PolicyError::Syntax(e.to_string()))?;
        let written: PolicySet = text.parse().map_err(|e| PolicyError::Syntax(format!("{e}")))?;
        let mut policies = PolicySet::new();
        let (mut reasons, mut japanese) = (BTreeMap::new(), BTreeMap::new());
        for policy in written.policies() {
            let id = policy.annotation("id").unwrap_or_default().to_owned();
            let reason = policy.annotation("reason").unwrap_or_default().to_owned();
            if let Some(text) = policy.annotation("ja") {
                japanese.insert(id.clone(), text.to_owned());
            }
            if id.is_empty() || reasons.insert(id.clone(), reason).is_some() {
                return Err(PolicyError::Unnamed(policy.to_string()));
            }
            policies
                .add(policy.new_id(id.parse().map_err(|_| PolicyError::Unnamed(id.clone()))?))
                .map_err(|e| PolicyError::Unnamed(e.to_string()))?;
        }
        let checked = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if !checked.validation_passed() {
            return Err(PolicyError::Invalid(checked.to_string()));
        }
        let digest = Digest::of(format!("{SCHEMA}\n{text}").as_bytes());
        Ok(Self { policies, schema, authorizer: Authorizer::new(), reasons, japanese, digest })
    }

    /// Rule ids and their reasons, for display.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.reasons.iter().map(|(id, reason)| (id.as_str(), reason.as_str()))
    }

    /// A ruling's reason in Japanese, where the text has one.
    pub fn japanese(&self, ruling: &Ruling) -> String {
        let first = ruling.rule.split(", ").next().unwrap_or_default();
        match self.japanese.get(first) {
            Some(text) => text.clone(),
            None if first == NO_RULE => "この施策について、この利用を許可する規則はない".into(),
            None => ruling.reason.clone(),
        }
    }

    fn evaluate(&self, ask: &Ask, dossier: &Dossier, standing: Standing) -> Result<Ruling, String> {
        let principal = uid("Role", ask.role.id())?;
        let action = uid("Action", ask.usage.id())?;
        let resource = uid("Measure", &dossier.id)?;
        let context = Context::from_pairs([
            ("role".to_owned(), string(ask.role.id())),
            ("purpose".to_owned(), string(&ask.purpose)),
            ("fields".to_owned(), set(ask.fields.iter().map(String::as_str))),
            ("consent".to_owned(), RestrictedExpression::new_bool(standing.consent)),
            ("optedOut".to_owned(), RestrictedExpression::new_bool(standing.opted_out)),
            ("staticAddress".to_owned(), RestrictedExpression::new_bool(standing.static_address)),
            ("approvers".to_owned(), RestrictedExpression::new_long(standing.approvers.into())),
            ("today".to_owned(), RestrictedExpression::new_long(day_number(standing.now))),
        ])
        .map_err(|e| e.to_string())?;
        let entities = Entities::from_entities(
            [measure(resource.clone(), dossier)?, Entity::new_no_attrs(principal.clone(), HashSet::new())],
            None,
        )
        .map_err(|e| e.to_string())?;
        let request = Request::new(principal, action, resource, context, Some(&self.schema))
            .map_err(|e| e.to_string())?;
        let response = self.authorizer.is_authorized(&request, &self.policies, &entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(error.to_string());
        }
        let mut decided: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        decided.sort();
        Ok(self.ruling(response.decision() == Decision::Allow, &decided))
    }

    fn ruling(&self, allowed: bool, decided: &[String]) -> Ruling {
        let policy_set = self.digest;
        let Some(rule) = decided.first() else {
            let reason = "no rule allows this use under this measure".into();
            return Ruling { allowed: false, rule: NO_RULE.into(), reason, policy_set };
        };
        let reason = self.reasons.get(rule).cloned().unwrap_or_default();
        Ruling { allowed, rule: decided.join(", "), reason, policy_set }
    }
}

impl Rulebook for CedarRulebook {
    fn judge(&self, ask: &Ask, dossier: &Dossier, standing: Standing) -> Ruling {
        self.evaluate(ask, dossier, standing).unwrap_or_else(|error| Ruling {
            allowed: false,
            rule: "rulebook-error".into(),
            reason: error,
            policy_set: self.digest,
        })
    }

    fn policy_set(&self) -> Digest {
        self.digest
    }
}

fn measure(resource: EntityUid, dossier: &Dossier) -> Result<Entity, String> {
    let attributes = HashMap::from([
        ("purpose".to_owned(), string(&dossier.purpose)),
        ("basis".to_owned(), string(&dossier.basis.to_string())),
        ("alwaysOn".to_owned(), RestrictedExpression::new_bool(dossier.always_on)),
        ("twoPeople".to_owned(), RestrictedExpression::new_bool(dossier.two_people)),
        ("fields".to_owned(), set(dossier.fields.iter().map(String::as_str))),
        ("roles".to_owned(), set(dossier.roles.iter().map(|r| r.id()))),
        ("elements".to_owned(), set(dossier.elements.iter().map(|(id, _)| id.as_str()))),
        ("approvedOn".to_owned(), RestrictedExpression::new_long(date_number(dossier.approved_on))),
        ("expiresOn".to_owned(), RestrictedExpression::new_long(date_number(dossier.expires_on))),
    ]);
    Entity::new(resource, attributes, HashSet::new()).map_err(|e| e.to_string())
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let name = format!("Noroshi::{kind}").parse().map_err(|e| format!("{e}"))?;
    Ok(EntityUid::from_type_name_and_id(name, cedar_policy::EntityId::new(id)))
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn set<'a>(items: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(items.map(string))
}

#[cfg(test)]
mod tests;
