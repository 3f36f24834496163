//! Rows into a table: one at a time where each has to say whether it was there already, else some at a time.

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{CachedStatement, Connection, params_from_iter};

use crate::chain::Table;
use crate::error::LedgerError;
use crate::field::Field;

/// So many rows are one statement: SQLite looks for the place of the first only, and begins and ends once. More gain nothing.
const GROUP_ROWS: usize = 8;

/// When rows go in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// At once: what is there already is left as it is, and said.
    Single,
    /// In groups, the last of them when all is told: what is there already is an error.
    Grouped,
}

/// What inserts the rows of one table.
pub(crate) struct Insert<'a> {
    pub(crate) table: &'static Table,
    statement: CachedStatement<'a>,
    rows: Rows,
    columns: usize,
    /// The values that it holds: names, prices and costs of nothing are mostly those of the row before, and need not be bound again.
    bound: Vec<Value>,
    /// So many rows of it wait for the rest of their group.
    waiting: usize,
    /// The number of the newest row, those that wait among them.
    newest: i64,
}

impl<'a> Insert<'a> {
    pub(crate) fn new(connection: &'a Connection, table: &'static Table, rows: Rows) -> rusqlite::Result<Self> {
        let columns = table.columns.split(',').count();
        let (statement, newest) = match rows {
            Rows::Single => (connection.prepare_cached(table.insert)?, 0),
            Rows::Grouped => (connection.prepare_cached(&grouped(table, columns))?, newest(connection, table)?),
        };
        let bound = vec![Value::Null; statement.parameter_count()];
        Ok(Self { table, statement, rows, columns, bound, waiting: 0, newest })
    }

    /// Inserts a row, or has it wait for others; gives the number that it has or will have (of a table without numbers, any), and nothing
    /// when it is there already.
    pub(crate) fn add(&mut self, connection: &Connection, row: &[Field<'_>]) -> Result<Option<i64>, LedgerError> {
        if row.len() != self.columns {
            return Err(rusqlite::Error::InvalidParameterCount(row.len(), self.columns).into());
        }
        let from = self.waiting * self.columns;
        for (place, (field, bound)) in (from + 1..).zip(row.iter().zip(&mut self.bound[from..])) {
            if field.replace(bound) {
                self.statement.raw_bind_parameter(place, ToSqlOutput::Borrowed(field.value()))?;
            }
        }
        if self.rows == Rows::Single {
            let inserted = self.statement.raw_execute()? > 0;
            return Ok(inserted.then(|| connection.last_insert_rowid()));
        }
        self.newest += 1;
        self.waiting += 1;
        if self.waiting == GROUP_ROWS {
            self.waiting = 0;
            self.statement.raw_execute()?;
            self.check(connection)?;
        }
        Ok(Some(self.newest))
    }

    /// Inserts what still waits.
    pub(crate) fn flush(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting == 0 {
            return Ok(());
        }
        let mut single = connection.prepare_cached(self.table.insert)?;
        for row in self.bound.chunks(self.columns).take(waiting) {
            let inserted = single.execute(params_from_iter(row))?;
            if inserted != 1 {
                return Err(rusqlite::Error::StatementChangedRows(inserted).into());
            }
        }
        self.check(connection)
    }

    /// The last row that was inserted has the number that was told.
    fn check(&self, connection: &Connection) -> Result<(), LedgerError> {
        if self.table.numbered && connection.last_insert_rowid() != self.newest {
            return Err(LedgerError::Misnumbered { table: self.table.name, number: self.newest });
        }
        Ok(())
    }
}

/// Fails without taking back the rows before: whoever tells the rows takes back all of them.
fn grouped(table: &Table, columns: usize) -> String {
    let row = ["(", &["?"].repeat(columns).join(", "), ")"].concat();
    ["INSERT OR FAIL INTO ", table.name, " (", table.columns, ") VALUES ", &vec![row; GROUP_ROWS].join(", ")].concat()
}

fn newest(connection: &Connection, table: &Table) -> rusqlite::Result<i64> {
    if !table.numbered {
        return Ok(0);
    }
    let mut newest = connection.prepare_cached(&["SELECT coalesce(max(rowid), 0) FROM ", table.name].concat())?;
    newest.query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::fields;

    static WORD: Table = Table {
        name: "word",
        columns: "word, length",
        insert: "INSERT INTO word (word, length) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        select: "SELECT word, length FROM word",
        numbered: true,
    };

    /// Tells the words, and gives the numbers that they were told to have and those that they have.
    fn check(rows: Rows, words: &[String]) -> Result<Vec<Option<i64>>, LedgerError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(
            "CREATE TABLE word (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE, length INTEGER NOT NULL) STRICT;
             INSERT INTO word (id, word, length) VALUES (7, 'there', 5)",
        )?;
        let mut insert = Insert::new(&connection, &WORD, rows)?;
        let mut told = Vec::new();
        for word in words {
            told.push(insert.add(&connection, &fields![word.as_str(), word.len() as i64])?);
        }
        insert.flush(&connection)?;
        for (word, number) in words.iter().zip(&told) {
            let find = "SELECT id, length FROM word WHERE word = ?1";
            let (id, length) = connection.query_row(find, [word], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
            assert_eq!((number.unwrap_or(id), word.len() as i64), (id, length));
        }
        Ok(told)
    }

    fn words(count: usize) -> Vec<String> {
        (0..count).map(|number| "x".repeat(1 + number % 3) + &number.to_string()).collect()
    }

    #[test]
    fn groups_have_the_rows_and_numbers_that_single_rows_have() {
        for count in [0, 1, GROUP_ROWS - 1, GROUP_ROWS, GROUP_ROWS + 1, 3 * GROUP_ROWS, 3 * GROUP_ROWS + 5] {
            let single = check(Rows::Single, &words(count)).expect("inserted");
            assert_eq!(single, (8..).map(Some).take(count).collect::<Vec<_>>());
            assert_eq!(check(Rows::Grouped, &words(count)).expect("inserted"), single);
        }
    }

    #[test]
    fn a_group_with_a_row_that_is_there_already_is_an_error() {
        for place in 0..2 * GROUP_ROWS {
            let mut words = words(GROUP_ROWS + 3);
            words.insert(place.min(words.len()), "there".to_owned());
            assert_eq!(check(Rows::Single, &words).expect("inserted").iter().filter(|number| number.is_none()).count(), 1);
            check(Rows::Grouped, &words).expect_err("one is there");
        }
    }
}
