//! `baseload ledger export`: every charge in FOCUS columns.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use ledger::{COLUMNS, Cell, CellKind, FOCUS_VERSION, FocusRow, View, focus_rows};
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::{Map, Value, json};
use units::Span;

use crate::args::Format;
use crate::clock;

/// Writes the charges of the billing periods that share time with `within`.
pub fn export(view: &View, within: Span, format: Format, to: Option<&Path>, out: &mut dyn Write) -> Result<()> {
    let fleet = view.fleet().context("read the fleet that the ledger was last opened with")?;
    let rows = focus_rows(view, &fleet, within, clock::now()).context("read the ledger")?;
    match to {
        None => write(&rows, format, out),
        Some(path) => {
            let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
            let mut file = BufWriter::new(file);
            write(&rows, format, &mut file)?;
            file.flush().with_context(|| format!("write {}", path.display()))
        }
    }
}

fn write(rows: &[FocusRow], format: Format, out: &mut dyn Write) -> Result<()> {
    match format {
        Format::Csv => csv(rows, out),
        Format::Json => Ok(writeln!(out, "{}", document(rows))?),
        Format::Parquet => Ok(out.write_all(&parquet(rows)?)?),
    }
}

fn csv(rows: &[FocusRow], out: &mut dyn Write) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS.iter().map(|column| column.name))?;
    for row in rows {
        writer.write_record(COLUMNS.iter().map(|column| column.of(row).shown()))?;
    }
    Ok(writer.flush()?)
}

/// Numbers are text: they are decimal, and JSON's readers would round them.
fn document(rows: &[FocusRow]) -> Value {
    let row = |row: &FocusRow| -> Value {
        let cells = COLUMNS.iter().map(|column| {
            let cell = column.of(row);
            (column.name.to_owned(), if cell == Cell::Null { Value::Null } else { Value::String(cell.shown()) })
        });
        Value::Object(cells.collect::<Map<_, _>>())
    };
    json!({ "focus_version": FOCUS_VERSION, "rows": rows.iter().map(row).collect::<Vec<_>>() })
}

/// One row group; numbers are decimals of 38 digits with nine places.
fn parquet(rows: &[FocusRow]) -> Result<Vec<u8>> {
    let columns = COLUMNS.iter().map(|column| match column.kind {
        CellKind::Text => format!("OPTIONAL BINARY {} (UTF8);", column.name),
        CellKind::Decimal => format!("OPTIONAL FIXED_LEN_BYTE_ARRAY (16) {} (DECIMAL(38,9));", column.name),
        CellKind::Time => format!("OPTIONAL INT64 {} (TIMESTAMP(MICROS,true));", column.name),
    });
    let schema = format!("message focus {{ {} }}", columns.collect::<Vec<_>>().join(" "));
    let schema = Arc::new(parse_message_type(&schema).context("make the schema")?);
    let version = vec![KeyValue::new("focus_version".to_owned(), FOCUS_VERSION.to_owned())];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(version)).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).context("begin the file")?;
    let mut group = writer.next_row_group().context("begin the rows")?;
    for column in COLUMNS {
        let cells: Vec<Cell> = rows.iter().map(|row| column.of(row)).collect();
        let mut to =
            group.next_column().context("begin a column")?.ok_or_else(|| anyhow!("write column {}: there is none", column.name))?;
        fill(&mut to, column.kind, &cells).with_context(|| format!("write column {}", column.name))?;
        to.close().context("end a column")?;
    }
    group.close().context("end the rows")?;
    writer.into_inner().context("end the file")
}

fn fill(column: &mut SerializedColumnWriter<'_>, kind: CellKind, cells: &[Cell]) -> Result<()> {
    let there: Vec<i16> = cells.iter().map(|cell| i16::from(*cell != Cell::Null)).collect();
    match kind {
        CellKind::Text => {
            let texts =
                cells.iter().filter_map(|cell| if let Cell::Text(text) = cell { Some(ByteArray::from(text.as_str())) } else { None });
            column.typed::<ByteArrayType>().write_batch(&texts.collect::<Vec<_>>(), Some(&there), None)?;
        }
        CellKind::Decimal => {
            let bytes = |nanos: &i128| FixedLenByteArray::from(nanos.to_be_bytes().to_vec());
            let numbers = cells.iter().filter_map(|cell| if let Cell::Decimal(nanos) = cell { Some(bytes(nanos)) } else { None });
            column.typed::<FixedLenByteArrayType>().write_batch(&numbers.collect::<Vec<_>>(), Some(&there), None)?;
        }
        CellKind::Time => {
            let times = cells.iter().filter_map(|cell| if let Cell::Time(at) = cell { Some(at.micros()) } else { None });
            column.typed::<Int64Type>().write_batch(&times.collect::<Vec<_>>(), Some(&there), None)?;
        }
    }
    Ok(())
}
