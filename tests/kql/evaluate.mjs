// Runs Kusto queries on rows, as far as the saved functions and the parsers need it. There is no engine to be had
// for tests, so this goes through the syntax tree of Microsoft's parser (what a query means is read there) and does
// the operators and functions below as their pages of the Kusto documentation say. What it does not know is an
// error, never a guess.
//
//   stdin   {"tables": {NAME: [{"name", "type"}…]}, "rows": {NAME: [{COLUMN: VALUE}…]},
//            "functions": [{"name", "parameters", "body"}…], "queries": [TEXT…]}
//   stdout  [[{COLUMN: VALUE}…]…], the rows of each query
//
// Times are text of one form, so that they compare as text does; a missing text is the empty one, as in Kusto.

import { readFileSync } from "node:fs";
import { Bridge, Kusto } from "./database.mjs";

const input = JSON.parse(readFileSync(0, "utf8"));

class Time {
  constructor(text) {
    const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?\d*Z$/.exec(text);
    if (!parts) throw new Error(`${text} is no time`);
    this.text = `${parts[1]}.${(parts[2] ?? "").padEnd(7, "0")}Z`;
  }
  toString = () => this.text;
  toJSON = () => this.text;
}

// ---- the tree -----------------------------------------------------------------------------------------------

const kind = (node) => Bridge.getTypeName(node).replace(/^Kusto\.Language\.Syntax\./, "").replace(/`.*/, "");
const children = (node) => Array.from({ length: node.ChildCount }, (_, at) => node.GetChild(at)).filter(Boolean);
const listed = (list) => children(list).map((element) => element.GetChild(0));
const nameOf = (node) => node.Name.SimpleName ?? node.SimpleName;
const unknown = (node) => new Error(`${kind(node)} is not known here: ${node}`);

// Names are not looked up by the parser here: check.mjs has it do that, and it takes its time.
function parsed(text, called) {
  const code = Kusto.Language.KustoCode.Parse(text);
  const wrong = Bridge.toArray(code.GetSyntaxDiagnostics());
  if (wrong.length) throw new Error(`${called}: ${wrong.map(({ Message }) => Message).join(" ")}`);
  return code.Syntax;
}

// ---- tables -------------------------------------------------------------------------------------------------

const isTime = Object.fromEntries(
  Object.entries(input.tables).map(([name, columns]) => [name, new Set(columns.filter(({ type }) => type === "datetime").map((column) => column.name))]),
);

function rowsOf(name) {
  return (input.rows[name] ?? []).map((row) =>
    Object.fromEntries(
      input.tables[name].map(({ name: column, type }) => {
        const value = row[column] ?? (type === "string" ? "" : null);
        return [column, value !== null && isTime[name].has(column) ? new Time(value) : value];
      }),
    ),
  );
}

const declarations = new Map();

function declarationOf(name) {
  if (!declarations.has(name)) {
    const { parameters, body } = input.functions.find((one) => one.name === name);
    const block = parsed(`let ${name} = (${parameters}) {${body}\n};\n${name}()`, name);
    declarations.set(name, find(block, "FunctionDeclaration"));
  }
  return declarations.get(name);
}

// A saved function with values for its parameters, the defaults where none are given.
function call(name, given) {
  const declaration = declarationOf(name);
  const scope = {};
  for (const parameter of listed(declaration.Parameters.Parameters)) {
    const own = nameOf(parameter.NameAndType);
    scope[own] = given[own] ?? value(parameter.DefaultValue.Value, {}, {});
  }
  return statements(declaration.Body, scope);
}

function find(node, wanted) {
  if (kind(node) === wanted) return node;
  for (const child of children(node)) {
    const found = find(child, wanted);
    if (found) return found;
  }
  return null;
}

// The rows of the last expression of a body or a query; what is said by `let` before is in its scope.
function statements(node, outer) {
  const scope = { ...outer };
  let result;
  const run = (statement) => {
    if (kind(statement) === "LetStatement") scope[nameOf(statement)] = value(statement.Expression, {}, scope);
    else if (kind(statement) === "ExpressionStatement") result = table(statement.Expression, scope);
    else throw unknown(statement);
  };
  if (kind(node) === "FunctionBody") {
    listed(node.Statements).forEach(run);
    if (node.Expression) result = table(node.Expression, scope);
  } else listed(node.Statements).forEach(run);
  return result;
}

function table(node, scope) {
  switch (kind(node)) {
    case "PipeExpression":
      return operator(node.Operator, table(node.Expression, scope), scope);
    case "NameReference":
      return node.SimpleName in input.tables ? rowsOf(node.SimpleName) : call(node.SimpleName, {});
    case "UnionOperator":
      return listed(node.Expressions).flatMap((expression) => table(expression, scope));
    case "FunctionCallExpression": {
      const named = listed(node.ArgumentList.Expressions).map((argument) => {
        if (kind(argument) !== "SimpleNamedExpression") throw unknown(argument);
        return [nameOf(argument), value(argument.Expression, {}, scope)];
      });
      return call(node.Name.SimpleName, Object.fromEntries(named));
    }
    default:
      throw unknown(node);
  }
}

function operator(node, rows, scope) {
  switch (kind(node)) {
    case "FilterOperator":
      return rows.filter((row) => value(node.Condition, row, scope) === true);
    case "ExtendOperator":
      return rows.map((row) => ({ ...row, ...assigned(node.Expressions, row, scope) }));
    case "ProjectOperator":
      return rows.map((row) => assigned(node.Expressions, row, scope));
    case "ProjectAwayOperator": {
      const away = new Set(listed(node.Expressions).map((expression) => expression.SimpleName));
      return rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !away.has(name))));
    }
    case "SortOperator": {
      const orders = listed(node.Expressions).map((ordered) => {
        const clause = kind(ordered) === "OrderedExpression" ? String(ordered.Ordering).trim() : "desc";
        return { expression: ordered.Expression ?? ordered, sign: clause === "asc" ? 1 : -1 };
      });
      const compared = (one, other) => {
        for (const { expression, sign } of orders) {
          const order = compare(value(expression, one, scope), value(expression, other, scope));
          if (order) return sign * order;
        }
        return 0;
      };
      return [...rows].sort(compared);
    }
    case "SummarizeOperator":
      return summarized(node, rows, scope);
    case "MvApplyOperator":
      return rows.flatMap((row) => applied(node, row, scope));
    default:
      throw unknown(node);
  }
}

function assigned(expressions, row, scope) {
  return Object.fromEntries(
    listed(expressions).map((expression) =>
      kind(expression) === "SimpleNamedExpression"
        ? [nameOf(expression), value(expression.Expression, row, scope)]
        : [expression.SimpleName, value(expression, row, scope)],
    ),
  );
}

function summarized(node, rows, scope) {
  const by = node.ByClause ? listed(node.ByClause.Expressions).map((expression) => expression.SimpleName) : [];
  const groups = new Map();
  // Without `by` there is one group, of whatever rows there are.
  if (by.length === 0) groups.set("[]", []);
  for (const row of rows) {
    const key = JSON.stringify(by.map((name) => row[name]));
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((group) => {
    const result = Object.fromEntries(by.map((name) => [name, group[0][name]]));
    for (const expression of listed(node.Aggregates)) {
      const isNamed = kind(expression) === "SimpleNamedExpression";
      const { Name, ArgumentList } = isNamed ? expression.Expression : expression;
      const args = listed(ArgumentList.Expressions);
      if (Name.SimpleName === "arg_max" && kind(args[1]) === "StarExpression") {
        const first = group.reduce((best, row) => (compare(value(args[0], row, scope), value(args[0], best, scope)) > 0 ? row : best));
        Object.assign(result, first);
      } else if (Name.SimpleName === "make_list_if") {
        const taken = group.filter((row) => value(args[1], row, scope) === true).map((row) => value(args[0], row, scope));
        const most = args[2] ? value(args[2], {}, scope) : Infinity;
        result[nameOf(expression)] = taken.filter((one) => one !== null).slice(0, most);
      } else throw unknown(expression);
    }
    return result;
  });
}

// As mv-expand, rows whose list is empty are dropped, and what is no list is one of itself.
function applied(node, row, scope) {
  const [expression, ...more] = listed(node.Expressions).map((one) => one.Expression);
  const [parameter, ...others] = children(node.Parameters);
  if (more.length || others.length || nameOf(parameter) !== "with_itemindex") throw unknown(node);
  const list = value(expression.Expression, row, scope);
  const elements = Array.isArray(list) ? list : [list];
  const index = parameter.Expression.SimpleName;
  let rows = elements.map((element, at) => ({ ...row, [index]: at, [nameOf(expression)]: element }));
  if (rows.length === 0) return [];
  const pipe = (operation) => {
    if (kind(operation) === "PipeExpression") {
      pipe(operation.Expression);
      rows = operator(operation.Operator, rows, scope);
    } else rows = operator(operation, rows, scope);
  };
  pipe(node.Subquery.Expression);
  return rows.map((result) => ({ ...row, ...result }));
}

// ---- values -------------------------------------------------------------------------------------------------

function compare(one, other) {
  if (one === null || other === null) return (one !== null) - (other !== null);
  const [a, b] = [one, other].map((each) => (each instanceof Time ? each.text : each));
  if (typeof a !== typeof b) throw new Error(`${a} and ${b} do not compare`);
  return a < b ? -1 : a > b ? 1 : 0;
}

// Null makes a comparison null, which is neither true nor false.
const unlessNull = (test) => (one, other) => (one === null || other === null ? null : test(one, other));
const texts = (test) => (one, other) => test(tostring(one).toLowerCase(), tostring(other).toLowerCase());

const BINARY = {
  "==": unlessNull((one, other) => compare(one, other) === 0),
  ">": unlessNull((one, other) => compare(one, other) > 0),
  ">=": unlessNull((one, other) => compare(one, other) >= 0),
  "<=": unlessNull((one, other) => compare(one, other) <= 0),
  "=~": texts((one, other) => one === other),
  contains: texts((one, other) => one.includes(other)),
  startswith: texts((one, other) => one.startsWith(other)),
};

const isWordPart = (character) => character !== undefined && /[\p{L}\p{N}]/u.test(character);

// Whether a text has another one that does not begin or end within a word.
function has(text, term) {
  for (let at = text.indexOf(term); term && at >= 0; at = text.indexOf(term, at + 1)) {
    const end = at + term.length;
    const isCut = (isWordPart(text[at - 1]) && isWordPart(term[0])) || (isWordPart(term.at(-1)) && isWordPart(text[end]));
    if (!isCut) return true;
  }
  return false;
}

function tostring(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") throw new Error("a boolean's text is not known here");
  return typeof value === "object" && !(value instanceof Time) ? JSON.stringify(value) : String(value);
}

const isEmpty = (value) => tostring(value) === "";

// A text that is no JSON becomes a text, an empty one null.
function parseJson(value) {
  if (typeof value !== "string") return value;
  try {
    return value === "" ? null : JSON.parse(value);
  } catch {
    return value;
  }
}

function hasAddress(text, prefix) {
  const addresses = tostring(text).match(/(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])/g) ?? [];
  return addresses.some((address) => address === prefix || (prefix.endsWith(".") && address.startsWith(prefix)));
}

const FUNCTIONS = {
  array_length: (list) => (Array.isArray(list) ? list.length : null),
  bag_pack: (...pairs) => Object.fromEntries(pairs.flatMap((name, at) => (at % 2 ? [] : [[name, pairs[at + 1]]]))),
  // The first that is not null; of texts, that is not empty either.
  coalesce: (...values) => values.find((one) => one !== null && one !== undefined && one !== "") ?? values.at(-1) ?? null,
  extract: (regex, group, text) => new RegExp(regex, "u").exec(tostring(text))?.[group] ?? "",
  has_any_ipv4_prefix: (text, prefixes) => prefixes.some((prefix) => hasAddress(text, prefix)),
  isempty: isEmpty,
  isnotempty: (value) => !isEmpty(value),
  isnull: (value) => value === null,
  not: (value) => (value === null ? null : !value),
  parse_json: parseJson,
  strcat: (...values) => values.map(tostring).join(""),
  strcat_array: (list, between) => (Array.isArray(list) ? list.map(tostring).join(between) : ""),
  tolong: (value) => (value === null || value === "" ? null : Math.trunc(Number(value))),
  tolower: (value) => tostring(value).toLowerCase(),
  tostring,
  trim_end: (regex, text) => tostring(text).replace(new RegExp(`(?:${regex})$`, "u"), ""),
};

// These do not evaluate every argument, and `column_ifexists` names a column.
const SPECIAL = {
  case: (args, of) => {
    for (let at = 0; at + 1 < args.length; at += 2) if (of(args[at]) === true) return of(args[at + 1]);
    return of(args.at(-1));
  },
  iff: (args, of) => of(of(args[0]) === true ? args[1] : args[2]),
  column_ifexists: (args, of, row) => (of(args[0]) in row ? row[of(args[0])] : of(args[1])),
};

function value(node, row, scope) {
  const of = (inner) => value(inner, row, scope);
  switch (kind(node)) {
    case "ParenthesizedExpression":
      return of(node.Expression);
    case "LiteralExpression":
      return literal(node);
    case "DynamicExpression":
      return JSON.parse(node.Expression.ToString());
    case "NameReference": {
      const name = node.SimpleName;
      if (name in row) return row[name];
      if (name in scope) return scope[name];
      throw new Error(`nothing is called ${name}`);
    }
    case "PathExpression":
      return of(node.Expression)?.[node.Selector.SimpleName] ?? null;
    case "ElementExpression":
      return of(node.Expression)?.[of(node.Selector.Expression)] ?? null;
    case "HasAnyExpression": {
      const [list] = listed(node.Right.Expressions).map(of);
      return list.some((term) => has(tostring(of(node.Left)).toLowerCase(), tostring(term).toLowerCase()));
    }
    case "InExpression": {
      if (node.Operator.Text !== "in~") throw unknown(node);
      const [list] = listed(node.Right.Expressions).map(of);
      return list.some((one) => tostring(one).toLowerCase() === tostring(of(node.Left)).toLowerCase());
    }
    case "BinaryExpression": {
      const name = node.Operator.Text;
      const [one, other] = [of(node.Left), of(node.Right)];
      if (name === "and") return one === false || other === false ? false : one === null || other === null ? null : true;
      if (name === "or") return one === true || other === true ? true : one === null || other === null ? null : false;
      if (!(name in BINARY)) throw unknown(node);
      return BINARY[name](one, other);
    }
    case "FunctionCallExpression": {
      const name = node.Name.SimpleName;
      const args = listed(node.ArgumentList.Expressions);
      if (name in SPECIAL) return SPECIAL[name](args, of, row);
      if (!(name in FUNCTIONS)) throw unknown(node);
      return FUNCTIONS[name](...args.map(of));
    }
    default:
      throw unknown(node);
  }
}

function literal(node) {
  const given = Bridge.unbox(node.LiteralValue, true);
  if (given === null || given === undefined) return null;
  if (typeof given === "string" || typeof given === "boolean" || typeof given === "number") return given;
  const [, time] = /^\s*datetime\((.*)\)$/.exec(node.ToString()) ?? [];
  if (time) return new Time(time);
  if (/^-?\d+$/.test(given.toString())) return Number(given.toString());
  throw unknown(node);
}

const output = input.queries.map((text) => statements(parsed(text, "the query"), {}));
process.stdout.write(JSON.stringify(output));
