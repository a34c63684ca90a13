//! `mysql.user`: each account's limits and, if asked for, its global privileges.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "mysql.user",
    switch: Flag::switch("collect.mysql.user", "Collect data from mysql.user"),
    min: 5.1,
    flags: &[PRIVILEGES],
    needs: Right::Select("mysql.*"),
    build: |flags| Box::new(Users { privileges: flags.on(PRIVILEGES.name) }),
};

const PRIVILEGES: Flag =
    Flag::switch("collect.mysql.user.privileges", "Enable collecting user privileges from mysql.user");

struct Users {
    privileges: bool,
}

impl Collect for Users {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        // Not `*`: passwords stay where they are.
        let mut sql = String::from("SELECT user,host");
        for (column, _) in LIMIT_COLUMNS.iter().chain(PRIVILEGE_COLUMNS.iter().filter(|_| self.privileges)) {
            sql.push(',');
            sql.push_str(column);
        }
        sql.push_str(" FROM mysql.user");
        Box::new(UsersRun { sql: Some(sql) })
    }
}

struct UsersRun {
    sql: Option<String>,
}

impl Run for UsersRun {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.sql.take().map(Cow::Owned)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let labels = [("hostmask", cells.text(1)), ("mysql_user", cells.text(0))];
        let mut limits = [exposition::Value::U64(0); LIMIT_COLUMNS.len()];
        for (i, limit) in limits.iter_mut().enumerate() {
            *limit = cells.number(2 + i)?;
        }
        for ((_, desc), limit) in LIMIT_COLUMNS.iter().zip(limits) {
            out.family(desc).sample(&labels, limit);
        }
        for (i, (_, desc)) in PRIVILEGE_COLUMNS.iter().enumerate() {
            match cells.text(2 + LIMIT_COLUMNS.len() + i) {
                b"Y" => drop(out.family(desc).sample(&labels, 1u64)),
                b"N" => drop(out.family(desc).sample(&labels, 0u64)),
                _ => {}
            }
        }
        Ok(())
    }
}

const LIMIT_COLUMNS: [(&str, Desc); 4] = [
    ("max_questions", Desc::gauge("mysql_mysql_max_questions", "The number of max_questions by user.")),
    ("max_updates", Desc::gauge("mysql_mysql_max_updates", "The number of max_updates by user.")),
    ("max_connections", Desc::gauge("mysql_mysql_max_connections", "The number of max_connections by user.")),
    (
        "max_user_connections",
        Desc::gauge("mysql_mysql_max_user_connections", "The number of max_user_connections by user."),
    ),
];
const PRIVILEGE_COLUMNS: [(&str, Desc); 29] = [
    ("Alter_priv", Desc::gauge("mysql_mysql_alter_priv", "Alter_priv by user.")),
    ("Alter_routine_priv", Desc::gauge("mysql_mysql_alter_routine_priv", "Alter_routine_priv by user.")),
    ("Create_priv", Desc::gauge("mysql_mysql_create_priv", "Create_priv by user.")),
    ("Create_routine_priv", Desc::gauge("mysql_mysql_create_routine_priv", "Create_routine_priv by user.")),
    ("Create_tablespace_priv", Desc::gauge("mysql_mysql_create_tablespace_priv", "Create_tablespace_priv by user.")),
    ("Create_tmp_table_priv", Desc::gauge("mysql_mysql_create_tmp_table_priv", "Create_tmp_table_priv by user.")),
    ("Create_user_priv", Desc::gauge("mysql_mysql_create_user_priv", "Create_user_priv by user.")),
    ("Create_view_priv", Desc::gauge("mysql_mysql_create_view_priv", "Create_view_priv by user.")),
    ("Delete_priv", Desc::gauge("mysql_mysql_delete_priv", "Delete_priv by user.")),
    ("Drop_priv", Desc::gauge("mysql_mysql_drop_priv", "Drop_priv by user.")),
    ("Event_priv", Desc::gauge("mysql_mysql_event_priv", "Event_priv by user.")),
    ("Execute_priv", Desc::gauge("mysql_mysql_execute_priv", "Execute_priv by user.")),
    ("File_priv", Desc::gauge("mysql_mysql_file_priv", "File_priv by user.")),
    ("Grant_priv", Desc::gauge("mysql_mysql_grant_priv", "Grant_priv by user.")),
    ("Index_priv", Desc::gauge("mysql_mysql_index_priv", "Index_priv by user.")),
    ("Insert_priv", Desc::gauge("mysql_mysql_insert_priv", "Insert_priv by user.")),
    ("Lock_tables_priv", Desc::gauge("mysql_mysql_lock_tables_priv", "Lock_tables_priv by user.")),
    ("Process_priv", Desc::gauge("mysql_mysql_process_priv", "Process_priv by user.")),
    ("References_priv", Desc::gauge("mysql_mysql_references_priv", "References_priv by user.")),
    ("Reload_priv", Desc::gauge("mysql_mysql_reload_priv", "Reload_priv by user.")),
    ("Repl_client_priv", Desc::gauge("mysql_mysql_repl_client_priv", "Repl_client_priv by user.")),
    ("Repl_slave_priv", Desc::gauge("mysql_mysql_repl_slave_priv", "Repl_slave_priv by user.")),
    ("Select_priv", Desc::gauge("mysql_mysql_select_priv", "Select_priv by user.")),
    ("Show_db_priv", Desc::gauge("mysql_mysql_show_db_priv", "Show_db_priv by user.")),
    ("Show_view_priv", Desc::gauge("mysql_mysql_show_view_priv", "Show_view_priv by user.")),
    ("Shutdown_priv", Desc::gauge("mysql_mysql_shutdown_priv", "Shutdown_priv by user.")),
    ("Super_priv", Desc::gauge("mysql_mysql_super_priv", "Super_priv by user.")),
    ("Trigger_priv", Desc::gauge("mysql_mysql_trigger_priv", "Trigger_priv by user.")),
    ("Update_priv", Desc::gauge("mysql_mysql_update_priv", "Update_priv by user.")),
];
