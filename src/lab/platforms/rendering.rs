//! `${{Service.VAR}}`: what a variable comes to when its service is deployed.

use std::collections::BTreeMap;

/// Variables by service.
pub type Services = BTreeMap<String, BTreeMap<String, String>>;

/// How many references one may lead through.
const DEEP: u32 = 8;

/// The variables of a service with every reference replaced.
pub fn rendered(services: &Services, service: &str) -> BTreeMap<String, String> {
    let own = services.get(service).cloned().unwrap_or_default();
    own.iter().map(|(name, value)| (name.clone(), one(services, service, value, DEEP))).collect()
}

fn one(services: &Services, service: &str, value: &str, deep: u32) -> String {
    let Some((before, rest)) = value.split_once("${{") else { return value.to_owned() };
    let Some((inside, after)) = rest.split_once("}}") else { return value.to_owned() };
    let (whose, name) = inside.trim().split_once('.').unwrap_or((service, inside.trim()));
    let found = services.get(whose).and_then(|variables| variables.get(name)).filter(|_| deep > 0);
    let found = found.map_or_else(String::new, |value| one(services, whose, value, deep - 1));
    format!("{before}{found}{}", one(services, service, after, deep))
}
