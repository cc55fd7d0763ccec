//! Symbolic analysis of the rules: for every request there can be, with every dossier, what the rules allow is within the
//! law (`law.cedar`). Each deliberately wrong set of rules is refuted by a request that the solver finds.
//!
//! ```text
//! cargo xtask prove            builds and runs this where a solver can be had; says loudly where it cannot
//! ```
//!
//! The translation is cedar-policy-symcc, whose method is proved in Lean; the solver is cvc5, by `CVC5` or on the `PATH`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use cedar_policy::{PolicySet, Schema};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicySet};
use serde::Deserialize;

const SCHEMA: &str = include_str!("../../crates/policy/policies/schema.cedarschema");
const LIMITS: &str = include_str!("../../crates/policy/policies/limits.cedar");
const MEASURES: &str = include_str!("../../crates/policy/policies/measures.cedar");
const MUTANTS: &str = include_str!("../../crates/policy/tests/mutants.toml");
const LAW: &str = include_str!("../law.cedar");

#[derive(Deserialize)]
struct Mutants {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
struct Mutant {
    name: String,
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    edit: Vec<Edit>,
    #[serde(default)]
    add: String,
}

#[derive(Deserialize)]
struct Edit {
    rule: String,
    find: String,
    put: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA)?;
    let law: PolicySet = LAW.parse()?;
    let shipped = format!("{LIMITS}\n{MEASURES}");
    let mut compiler = CedarSymCompiler::new(LocalSolver::cvc5().context("no solver")?)?;

    let refuted = beyond(&mut compiler, &schema, &shipped, &law).await?;
    if let Some((action, request)) = refuted {
        println!("THE RULES EXCEED THE LAW ({action}):\n{request}");
        return Ok(ExitCode::FAILURE);
    }
    let empty = PolicySet::new();
    let mut uses = 0;
    for env in schema.request_envs() {
        let rules = CompiledPolicySet::compile(&shipped.parse()?, &env, &schema)?;
        let nothing = CompiledPolicySet::compile(&empty, &env, &schema)?;
        // Something is allowed for each use, or the proof above would hold of rules that allow nothing.
        ensure!(!compiler.check_implies_opt(&rules, &nothing).await?, "{} is never allowed", env.action());
        uses += 1;
    }
    println!("proved for every request of {uses} uses: what the rules allow is within the law");

    let mutants: Mutants = toml::from_str(MUTANTS)?;
    let mut survived = Vec::new();
    for mutant in &mutants.mutant {
        match beyond(&mut compiler, &schema, &edited(&shipped, mutant)?, &law).await? {
            Some((action, _)) => println!("refuted   {} ({action})", mutant.name),
            None => survived.push(&mutant.name),
        }
    }
    ensure!(mutants.mutant.len() >= 30, "too few mutants");
    ensure!(survived.is_empty(), "not refuted: {survived:?}");
    println!("{} of {} wrong sets of rules refuted", mutants.mutant.len(), mutants.mutant.len());
    Ok(ExitCode::SUCCESS)
}

/// A request that the rules allow and the law does not, if there is one.
async fn beyond(
    compiler: &mut CedarSymCompiler<LocalSolver>,
    schema: &Schema,
    rules: &str,
    law: &PolicySet,
) -> Result<Option<(String, String)>> {
    let rules: PolicySet = rules.parse()?;
    for env in schema.request_envs() {
        let rules = CompiledPolicySet::compile(&rules, &env, schema)?;
        let law = CompiledPolicySet::compile(law, &env, schema)?;
        if !compiler.check_implies_opt(&rules, &law).await? {
            let example = compiler.check_implies_with_counterexample_opt(&rules, &law).await?;
            let example = example.map_or_else(String::new, |e| e.to_string());
            return Ok(Some((env.action().to_string(), example)));
        }
    }
    Ok(None)
}

/// The text with a mutant's edits; the same as the policy crate's test makes.
fn edited(text: &str, mutant: &Mutant) -> Result<String> {
    let mut rules: Vec<String> = text.split("@id(").skip(1).map(|rule| format!("@id({rule}")).collect();
    let place = |rules: &[String], id: &str| {
        rules.iter().position(|rule| rule.starts_with(&format!("@id(\"{id}\")"))).context("no such rule")
    };
    for edit in &mutant.edit {
        let rule = place(&rules, &edit.rule)?;
        if rules[rule].matches(&edit.find).count() != 1 {
            bail!("{}: «{}» is not once in {}", mutant.name, edit.find, edit.rule);
        }
        rules[rule] = rules[rule].replace(&edit.find, &edit.put);
    }
    for id in &mutant.drop {
        let rule = place(&rules, id)?;
        rules.remove(rule);
    }
    Ok(rules.join("") + &mutant.add)
}
