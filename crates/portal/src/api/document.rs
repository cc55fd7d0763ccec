//! The document of the API (OpenAPI 3.1): what the routes say of themselves, and what is true of every one of them.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr, Response,
    ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;

use super::problem::{MEDIA_TYPE, Problem};
use super::{BASE, routes};

/// Answers that any operation may give, by status.
const ALWAYS: [(&str, &str); 6] = [
    ("400", "Something in the request cannot be read"),
    ("401", "No token, or none that opens anything (WWW-Authenticate says which)"),
    ("403", "The token lacks the scope (WWW-Authenticate says which)"),
    ("414", "The address is too long"),
    ("429", "Too fast: Retry-After says when to ask again"),
    ("503", "The records cannot be read right now: Retry-After says when to ask again"),
];
/// Those of operations that take a body.
const WITH_BODY: [(&str, &str); 3] = [
    ("413", "The body is too long"),
    ("415", "The body is not said to be JSON"),
    ("422", "The body is not the JSON that is asked for"),
];

/// The document.
pub fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("noroshi")
        .version("1")
        .description(Some(
            "What the console shows, for programs. Lists are read page by page: give `next` of an answer as `cursor` of the next \
             request. Every answer that is none is a problem after RFC 9457.",
        ))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token made by `noroshi token add`; each operation names the scope that it takes.",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(token))
        .schema(Problem::name(), Problem::schema())
        .build();
    let empty = OpenApiBuilder::new().info(info).components(Some(components)).build();
    let nested = OpenApiRouter::<super::Office>::new().nest(BASE, routes::all());
    let mut document = empty;
    document.merge(nested.into_openapi());
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let with_body = operation.request_body.is_some();
            let body: &[(&str, &str)] = if with_body { &WITH_BODY } else { &[] };
            for (status, description) in ALWAYS.iter().chain(body) {
                let responses = &mut operation.responses.responses;
                responses.entry((*status).to_owned()).or_insert_with(|| RefOr::T(problem(description)));
            }
        }
    }
    document
}

fn problem(description: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name(Problem::name()));
    ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::Scope;

    #[test]
    fn every_operation_is_under_the_base_names_one_scope_and_says_how_it_fails() {
        let document = serde_json::to_value(document()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut scopes = BTreeSet::new();
        let mut operations = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with("/api/v1/"), "{path}");
            for (method, operation) in item.as_object().unwrap() {
                operations += 1;
                let scope = operation["security"][0]["token"][0].as_str().unwrap();
                scopes.insert(Scope::parse(scope).unwrap());
                assert_eq!(scope.ends_with(":write"), method == "post", "{path}");
                for status in ["400", "401", "403", "429", "503"] {
                    let content = &operation["responses"][status]["content"];
                    assert!(content[MEDIA_TYPE]["schema"]["$ref"].is_string(), "{path} {status}");
                }
            }
        }
        assert_eq!((operations, scopes.len()), (18, Scope::ALL.len()), "every scope is good for something");
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = serde_json::to_value(document()).unwrap();
        let text = document.to_string();
        let mut looked = 0;
        for rest in text.split("\"$ref\":\"#").skip(1) {
            let pointer = rest.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            looked += 1;
        }
        assert!(looked > 30, "{looked}");
    }
}
