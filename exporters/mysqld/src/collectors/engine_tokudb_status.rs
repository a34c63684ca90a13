//! `engine_tokudb_status`: SHOW ENGINE TOKUDB STATUS.

use super::{Entry, Right, Table};
use crate::cells::{Cells, Odd};
use crate::reading::reading;
use exposition::{Kind, Part};
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "engine_tokudb_status",
    switch: Flag::switch("collect.engine_tokudb_status", "Collect from SHOW ENGINE TOKUDB STATUS"),
    min: 5.6,
    flags: &[],
    needs: Right::Process,
    build: |_| Box::new(Table { sql: |_| "SHOW ENGINE TOKUDB STATUS", row }),
};

fn row(cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
    let key = std::str::from_utf8(cells.text(1)).map_err(|_| Odd)?;
    if let Some(value) = reading(cells.text(2)) {
        let name = family_name(key);
        out.family_named(&name, "Generic metric from SHOW ENGINE TOKUDB STATUS.", Kind::Untyped).sample(&[], value);
    }
    Ok(())
}

fn family_name(key: &str) -> String {
    let mut name = String::from("mysql_engine_tokudb_");
    for c in key.chars() {
        match c {
            '>' | ',' | ':' | '(' | ')' => {}
            '+' | '/' => name.push_str("and"),
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            _ => name.push('_'),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_names() {
        assert_eq!(family_name("cachetable: size (max), a+b"), "mysql_engine_tokudb_cachetable_size_max_aandb");
    }
}
