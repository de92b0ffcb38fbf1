// Checks Kusto queries with the parser of Azure's own editors, against a database given as JSON.
//
//   stdin   {"tables": {NAME: [{"name", "type"}…]}, "functions": [{"name", "body"}…],
//            "queries": [{"file", "text"}…]}
//   stdout  {"functions": [{"name", …RESULT}…], "queries": [{"file", …RESULT}…]}
//
// RESULT is {"diagnostics": [{"severity", "code", "message", "line"}…], "columns": [{"name", "type"}…],
// "open"}: what the parser objects to, the columns that come out, and whether others might come out too. Behind
// an open result the parser takes any name for a column, so nothing is checked there.
//
// The package is .NET compiled to JavaScript: it puts Bridge and Kusto into the global scope, and overloaded
// constructors have numbers.

import { readFileSync } from "node:fs";
import "@kusto/language-service-next/bridge.js";
import "@kusto/language-service-next/Kusto.Language.Bridge.js";

const { Bridge, Kusto } = globalThis;
const { ClusterSymbol, ColumnSymbol, DatabaseSymbol, DynamicSymbol, FunctionSymbol, ScalarTypes, TableSymbol } =
  Kusto.Language.Symbols;

function column({ name, type }) {
  const symbol = ScalarTypes.GetSymbol(type);
  if (!symbol) throw new Error(`column ${name} has the type ${type}, which Kusto does not know`);
  return new ColumnSymbol(name, symbol, null, null, null, null);
}

function database({ tables, functions }) {
  const database = new DatabaseSymbol.$ctor1("workspace", [
    ...Object.entries(tables).map(([name, columns]) => new TableSymbol.$ctor4(name, columns.map(column))),
    // The line break ends a comment on the body's last line.
    ...functions.map(({ name, body }) => new FunctionSymbol.$ctor11(name, `{${body}\n}`, [])),
  ], false);
  const cluster = new ClusterSymbol.ctor("cluster", [database]);
  return Kusto.Language.GlobalState.Default.WithCluster(cluster).WithDatabase(database);
}

function check(text, globals) {
  const code = Kusto.Language.KustoCode.ParseAndAnalyze(text, globals);
  const result = Bridge.as(code.ResultType, TableSymbol);
  return {
    diagnostics: Bridge.toArray(code.GetDiagnostics()).map((diagnostic) => ({
      severity: diagnostic.Severity,
      code: diagnostic.Code,
      message: diagnostic.Message,
      line: text.slice(0, diagnostic.Start).split("\n").length,
    })),
    columns: result ? Bridge.toArray(result.Columns).map(({ Name, Type }) => ({ name: Name, type: typeName(Type) })) : [],
    open: result?.IsOpen ?? false,
  };
}

// The parser has types of its own for what it knows about the inside of a dynamic value.
const typeName = (type) => (Bridge.is(type, DynamicSymbol) ? "dynamic" : type.Name);

const input = JSON.parse(readFileSync(0, "utf8"));
const globals = database(input);
const output = {
  functions: input.functions.map(({ name, body }) => ({ name, ...check(body, globals) })),
  queries: input.queries.map(({ file, text }) => ({ file, ...check(text, globals) })),
};
process.stdout.write(JSON.stringify(output));
