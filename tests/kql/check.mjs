// Checks Kusto queries with the parser of Azure's own editors, against a database given as JSON.
//
//   stdin   {"tables": {NAME: [{"name", "type"}…]}, "functions": [{"name", "parameters", "body"}…],
//            "queries": [{"file", "text"}…]}
//   stdout  {"functions": [{"name", …RESULT}…], "queries": [{"file", …RESULT}…]}
//
// RESULT is {"diagnostics": [{"severity", "code", "message", "line"}…], "columns": [{"name", "type"}…],
// "open"}: what the parser objects to, the columns that come out, and whether others might come out too. Behind
// an open result the parser takes any name for a column, so nothing is checked there.

import { readFileSync } from "node:fs";
import { Bridge, Kusto, database } from "./database.mjs";

const { DynamicSymbol, TableSymbol } = Kusto.Language.Symbols;

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

// Its body is checked where its parameters are known, on the lines that it has in the body.
const called = ({ name, parameters, body }) =>
  parameters === "" ? body : `let ${name} = (${parameters}) {${body}\n};\n${name}()`;

// The parser has types of its own for what it knows about the inside of a dynamic value.
const typeName = (type) => (Bridge.is(type, DynamicSymbol) ? "dynamic" : type.Name);

const input = JSON.parse(readFileSync(0, "utf8"));
const globals = database(input);
const output = {
  functions: input.functions.map((text) => ({ name: text.name, ...check(called(text), globals) })),
  queries: input.queries.map(({ file, text }) => ({ file, ...check(text, globals) })),
};
process.stdout.write(JSON.stringify(output));
