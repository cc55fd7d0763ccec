//! What may be asked: one question, and nothing that changes or reads anything else. Held twice, because the first look is at the words
//! and the second at what the engine made of them.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as Sql;

use super::SQL_BYTES_MAX;
use crate::LakeError;

/// The one question of a text.
pub(super) fn question(sql: &str) -> Result<Statement, LakeError> {
    if sql.len() > SQL_BYTES_MAX {
        let message = format!("longer than {SQL_BYTES_MAX} bytes");
        return Err(LakeError::Sql { message, place: None });
    }
    let mut statements = DFParserBuilder::new(sql).build()?.parse_statements()?;
    let (Some(statement), None) = (statements.pop_front(), statements.pop_front()) else {
        return Err(LakeError::NotAQuestion("none, or several".to_owned()));
    };
    if is_question(&statement) {
        return Ok(statement);
    }
    let text = statement.to_string();
    let word = text.split_whitespace().next().unwrap_or_default();
    Err(LakeError::NotAQuestion(word.to_uppercase()))
}

fn is_question(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(sql) => is_plain_question(sql),
        Statement::Explain(explain) => is_question(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    }
}

fn is_plain_question(sql: &Sql) -> bool {
    match sql {
        Sql::Query(_)
        | Sql::ExplainTable { .. }
        | Sql::ShowTables { .. }
        | Sql::ShowColumns { .. }
        | Sql::ShowFunctions { .. }
        | Sql::ShowVariable { .. } => true,
        Sql::Explain { statement, .. } => is_plain_question(statement),
        _ => false,
    }
}

/// Whether a plan only reads: `SELECT … INTO` and `WITH … INSERT` begin like questions.
pub(super) fn only_reads(plan: &LogicalPlan) -> Result<(), LakeError> {
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(plan).map_err(|refused| LakeError::NotAQuestion(refused.strip_backtrace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_pass() {
        for sql in [
            "SELECT 1",
            "select * from minutes;",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "VALUES (1), (2)",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE SELECT 1",
            "SHOW TABLES",
            "SHOW COLUMNS FROM minutes",
            "DESCRIBE packets",
        ] {
            assert!(question(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for sql in [
            "",
            ";",
            "SELECT 1; SELECT 2",
            "SELECT 1; DROP TABLE minutes",
            "COPY minutes TO '/tmp/x.csv'",
            "COPY (SELECT 1) TO '/tmp/x.parquet' STORED AS PARQUET",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE TABLE t AS SELECT 1",
            "CREATE VIEW v AS SELECT 1",
            "INSERT INTO minutes SELECT * FROM minutes",
            "DELETE FROM minutes",
            "UPDATE minutes SET packets = 0",
            "DROP TABLE minutes",
            "TRUNCATE TABLE minutes",
            "SET datafusion.execution.batch_size = 1",
            "RESET datafusion.execution.batch_size",
            "EXPLAIN COPY minutes TO '/tmp/x.csv'",
            "EXPLAIN ANALYZE INSERT INTO minutes VALUES (1)",
            "PREPARE p AS SELECT 1",
            "BEGIN",
            "CREATE FUNCTION f() RETURNS INT RETURN 1",
        ] {
            let refused = question(sql).expect_err(sql);
            assert!(
                matches!(refused, LakeError::NotAQuestion(_) | LakeError::Sql { .. }),
                "{sql}: {refused}"
            );
        }
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let said = question("SELECT *\nFROM minutes WHERE (").unwrap_err().to_string();
        assert!(said.starts_with("line 2, column ") || said.contains("EOF"), "{said}");
        let said = question("SELECT *\n  FROM minutes WHERE )").unwrap_err().to_string();
        assert!(said.starts_with("line 2, column "), "{said}");
        assert!(question(&"(".repeat(SQL_BYTES_MAX)).is_err(), "deep, and no overflow of the stack");
        assert!(question(&" ".repeat(SQL_BYTES_MAX + 1)).is_err());
    }
}
