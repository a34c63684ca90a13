//! The columns of CLIENT_STATISTICS and USER_STATISTICS: which there are differs from server to server.

use super::push_name;
use crate::cells::{Cells, Odd};
use exposition::{Desc, Kind, Part};

/// Emits a row: its first column is the label, every other a number under the name that `known` has for it.
pub(crate) fn emit(cells: Cells<'_>, who: &str, known: &[(&str, Desc)], out: &mut Part) -> Result<(), Odd> {
    let label = [(who, cells.get(0).ok_or(Odd)?)];
    let mut odd = Ok(());
    for column in 1..cells.len() {
        let Ok(value) = cells.number(column) else {
            odd = Err(Odd);
            continue;
        };
        let name = cells.name(column);
        if let Some((_, desc)) = known.iter().find(|(n, _)| name.eq_ignore_ascii_case(n)) {
            if desc.kind == Kind::Counter && value.as_f64() < 0.0 {
                odd = Err(Odd);
                continue;
            }
            out.family(desc).sample(&label, value);
        } else {
            let mut family = format!("mysql_info_schema_{who}_statistics_");
            push_name(&name, &mut family);
            let help = format!("Unsupported metric from column {name}");
            out.family_named(&family, &help, Kind::Untyped).sample(&label, value);
        }
    }
    odd
}
