//! Writing Rust: names and formatting.

use crate::Result;

/// Formats generated code as a careful person would have typed it.
pub fn format(code: &str) -> Result<String> {
    let file =
        syn::parse_file(code).map_err(|error| format!("{error} in generated code:\n{code}"))?;
    Ok(prettyplease::unparse(&file))
}

/// `CreateService` as `create_service`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// `CREATE_IN_PROGRESS` as `CreateInProgress`.
pub fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
        })
        .collect()
}

/// A field's name as Rust can say it.
pub fn ident(name: &str) -> String {
    match syn::parse_str::<syn::Ident>(name) {
        Ok(_) => name.to_owned(),
        Err(_) => format!("r#{name}"),
    }
}
