import type { ASTNode, BinaryOperator } from '@marcbachmann/cel-js';
import { shown, type TailraceError } from '@tailrace/protocol/error';
import { suggestionFor } from '@tailrace/protocol/suggestion';
import { invalidExpression } from './expression-error.ts';
import {
  callOf,
  type ExpressionFunction,
  functions,
  mathFunctions,
  refusedFunctions,
  textFunctions,
} from './expression-functions.ts';
import { and, calculate, choice, compare, equal, negate, not, oneOf, or } from './expression-operators.ts';
import { type Part, type TagType, typeNoun, typeOf, type Value } from './expression-value.ts';

/** Compiles the syntax tree of one expression to closures, and validates names and types on the way. */
export class ExpressionCompiler {
  readonly #text: string;
  readonly #types: ReadonlyMap<string, TagType | 'unknown'> | undefined;
  readonly #tags = new Set<string>();

  constructor(text: string, types: ReadonlyMap<string, TagType | 'unknown'> | undefined) {
    this.#text = text;
    this.#types = types;
  }

  /** The tags of the parts compiled so far. */
  get tags(): readonly string[] {
    return [...this.#tags];
  }

  compile(node: ASTNode): Part {
    switch (node.op) {
      case 'value':
        return this.#literal(node, node.args);
      case 'id':
      case '.':
      case '[]':
        return this.#tag(node);
      case '&&':
      case '||': {
        const [left, right] = this.#pair(node.args, 'boolean', node.op);
        return part(node, 'boolean', (node.op === '&&' ? and : or)(left.evaluate, right.evaluate));
      }
      case '!_':
        return part(node, 'boolean', not(this.#operand(node.args, 'boolean', 'after !').evaluate));
      case '-_':
        return part(node, 'number', negate(this.#operand(node.args, 'number', 'after -').evaluate));
      case '?:':
        return this.#choice(node, node.args);
      case 'call':
        return this.#call(node, node.args[0], node.args[1]);
      case 'rcall':
        return this.#receiverCall(node, node.args[0], node.args[1], node.args[2]);
      case 'in':
        return this.#membership(node, node.args[0], node.args[1]);
      case 'list':
        throw this.#invalid(node, 'expected a list only after in, as in state in ["open", "closed"]');
      case 'map':
      case '.?':
      case '[?]':
        throw this.#invalid(node, `expected values, tags, operators and functions, got ${this.#shown(node)}`);
      default:
        return this.#binary(node, node.op, node.args);
    }
  }

  #literal(node: ASTNode, literal: unknown): Part {
    let value: Value;
    if (typeof literal === 'number' || typeof literal === 'boolean' || typeof literal === 'string') value = literal;
    // An unsigned integer, 1u, is an object with valueOf().
    else if (typeof literal === 'bigint' || /^\w+u$/i.test(this.#source(node))) value = Number(literal);
    else throw this.#invalid(node, `expected a number, a boolean or a text, got ${this.#shown(node)}`);
    if (
      typeof value === 'number' &&
      !(typeof literal === 'number' ? Number.isFinite(value) : Number.isSafeInteger(value))
    ) {
      throw this.#invalid(node, `expected a number that a double has exactly, got ${this.#shown(node)}`);
    }
    return part(node, typeOf(value), () => value);
  }

  #tag(node: ASTNode): Part {
    const tag = this.#tagName(node);
    const type = this.#types === undefined ? 'unknown' : this.#types.get(tag);
    if (type === undefined) throw this.#unknownTag(node, tag);
    this.#tags.add(tag);
    if (type === 'unknown') return part(node, type, (read) => read(tag));
    // The device may report another type than the registry has.
    return part(node, type, (read) => {
      const value = read(tag);
      return value !== undefined && typeOf(value) === type ? value : undefined;
    });
  }

  #tagName(node: ASTNode): string {
    const name = tagNameOf(node);
    if (name !== undefined) return name;
    throw this.#invalid(node, `expected a tag, as in temp or tags["motor-1.temp"], got ${this.#shown(node)}`);
  }

  #unknownTag(node: ASTNode, tag: string): TailraceError {
    const known = [...this.#types!.keys()];
    // `motor-1.temp` is a subtraction.
    const start = node.range.start;
    const unquoted = known
      .filter((each) => each.length > tag.length && this.#text.startsWith(each, start))
      .sort((a, b) => b.length - a.length)[0];
    const nearest = unquoted ?? suggestionFor(tag, known);
    const hint =
      nearest === undefined
        ? known.length === 0
          ? ''
          : `; its tags are ${known.slice(0, 5).map(shown).join(', ')}${known.length > 5 ? ', …' : ''}`
        : `; did you mean ${/^[A-Za-z_]\w*$/.test(nearest) ? nearest : `tags[${JSON.stringify(nearest)}]`}?`;
    return this.#invalid(node, `expected a tag of the device, got ${shown(tag)}${hint}`);
  }

  #binary(node: ASTNode, operator: Exclude<BinaryOperator, 'in'>, args: readonly [ASTNode, ASTNode]): Part {
    if (operator === '==' || operator === '!=') {
      const left = this.compile(args[0]);
      const right = this.compile(args[1]);
      if (differ(left, right)) throw this.#differ(operator, left, right);
      const isEqual = equal(left.evaluate, right.evaluate);
      return part(node, 'boolean', operator === '==' ? isEqual : not(isEqual));
    }
    if (operator === '<' || operator === '<=' || operator === '>' || operator === '>=') {
      const [left, right] = this.#sides(args, operator, true);
      return part(node, 'boolean', compare(operator, left.evaluate, right.evaluate));
    }
    const [left, right, type] = this.#sides(args, operator, operator === '+');
    return part(node, type, calculate(operator, left.evaluate, right.evaluate));
  }

  /** Returns the sides and their type: numbers, or also texts. Unknown if both may be either. */
  #sides(args: readonly [ASTNode, ASTNode], operator: string, mayBeTexts: boolean): [Part, Part, Part['type']] {
    const left = this.compile(args[0]);
    const right = this.compile(args[1]);
    if (mayBeTexts && (left.type === 'text' || right.type === 'text') && left.type !== 'boolean') {
      if (differ(left, right)) throw this.#differ(operator, left, right);
      return [left, right, 'text'];
    }
    this.#assertType(left, 'number', `on the left of ${operator}`);
    this.#assertType(right, 'number', `on the right of ${operator}`);
    return [left, right, mayBeTexts && left.type === 'unknown' && right.type === 'unknown' ? 'unknown' : 'number'];
  }

  #pair(args: readonly [ASTNode, ASTNode], type: TagType, operator: string): [Part, Part] {
    return [
      this.#operand(args[0], type, `on the left of ${operator}`),
      this.#operand(args[1], type, `on the right of ${operator}`),
    ];
  }

  #operand(node: ASTNode, type: TagType, place: string): Part {
    const operand = this.compile(node);
    this.#assertType(operand, type, place);
    return operand;
  }

  #assertType(operand: Part, type: TagType, place: string): void {
    if (operand.type === type || operand.type === 'unknown') return;
    throw this.#invalidAt(operand.at, `expected ${typeNoun(type)} ${place}, got ${typeNoun(operand.type)}`);
  }

  #choice(node: ASTNode, args: readonly [ASTNode, ASTNode, ASTNode]): Part {
    const condition = this.#operand(args[0], 'boolean', 'before ?');
    const yes = this.compile(args[1]);
    const no = this.compile(args[2]);
    if (differ(yes, no)) throw this.#differ(':', yes, no);
    const type = yes.type === no.type ? yes.type : 'unknown';
    return part(node, type, choice(condition.evaluate, yes.evaluate, no.evaluate));
  }

  #membership(node: ASTNode, operandNode: ASTNode, listNode: ASTNode): Part {
    // "temp" in tags: CEL's way to ask for a key of a map.
    if (listNode.op === 'id' && listNode.args === 'tags' && operandNode.op === 'value') {
      return this.#has(node, String(operandNode.args));
    }
    if (listNode.op !== 'list') {
      throw this.#invalid(listNode, `expected a list after in, as in ["open", "closed"], got ${this.#shown(listNode)}`);
    }
    const operand = this.compile(operandNode);
    const elements = listNode.args.map((each) => this.compile(each));
    const wrong = elements.find((each) => differ(operand, each));
    if (wrong !== undefined) throw this.#differ('in', operand, wrong);
    const evaluates = elements.map(({ evaluate }) => evaluate);
    return part(node, 'boolean', oneOf(operand.evaluate, evaluates));
  }

  #has(node: ASTNode, tag: string): Part {
    if (this.#types !== undefined && !this.#types.has(tag)) throw this.#unknownTag(node, tag);
    this.#tags.add(tag);
    return part(node, 'boolean', (read) => read(tag) !== undefined);
  }

  #call(node: ASTNode, name: string, args: readonly ASTNode[]): Part {
    if (name === 'has') {
      if (args.length !== 1) throw this.#invalid(node, `expected one tag in has(), got ${args.length}`);
      return this.#has(args[0]!, this.#tagName(args[0]!));
    }
    return this.#called(node, name, functions, args);
  }

  #receiverCall(node: ASTNode, name: string, receiver: ASTNode, args: readonly ASTNode[]): Part {
    if (receiver.op === 'id' && receiver.args === 'math') return this.#called(node, name, mathFunctions, args);
    return this.#called(node, name, textFunctions, [receiver, ...args]);
  }

  #called(node: ASTNode, name: string, known: ReadonlyMap<string, ExpressionFunction>, args: readonly ASTNode[]): Part {
    const called = known.get(name);
    if (called === undefined) {
      const refused = refusedFunctions.get(name);
      if (refused !== undefined) throw this.#invalid(node, `expected ${refused}`);
      const prefix = known === mathFunctions ? 'math.' : known === textFunctions ? '.' : '';
      const names = [...(prefix === '' ? ['has', ...known.keys()] : known.keys())];
      const list = names.map((each) => `${prefix}${each}()`).join(', ');
      throw this.#invalid(node, `expected one of ${list}, got ${shown(`${prefix}${name}`)}`);
    }
    const expected = called.parameters.length;
    if (called.repeats ? args.length < 1 : args.length !== expected) {
      const implied = known === textFunctions ? 1 : 0;
      throw this.#invalid(
        node,
        `expected ${called.repeats ? '1 or more' : expected - implied} arguments of ${name}(), got ${args.length - implied}`,
      );
    }
    const parts = args.map((each, index) =>
      this.#operand(each, called.parameters[called.repeats ? 0 : index]!, `as an argument of ${name}()`),
    );
    return part(node, called.returns, callOf(called, parts));
  }

  #differ(operator: string, left: Part, right: Part): TailraceError {
    return this.#invalidAt(
      right.at,
      `expected ${typeNoun(left.type)} as on the left of ${operator}, got ${typeNoun(right.type)}`,
    );
  }

  #source(node: ASTNode): string {
    return this.#text.slice(node.range.start, node.range.end);
  }

  #shown(node: ASTNode): string {
    return shown(this.#source(node));
  }

  #invalid(node: ASTNode, problem: string): TailraceError {
    return this.#invalidAt(node.range.start, problem);
  }

  #invalidAt(at: number, problem: string): TailraceError {
    return invalidExpression(this.#text, at, problem);
  }
}

function part(node: ASTNode, type: Part['type'], evaluate: Part['evaluate']): Part {
  return { type, evaluate, at: node.range.start };
}

/** `temp`, `motor.temp`, `tags.temp`, `tags["motor-1.temp"]`; undefined of anything else. */
function tagNameOf(node: ASTNode): string | undefined {
  switch (node.op) {
    case 'id':
      return node.args === 'tags' ? undefined : node.args;
    case '[]': {
      const [map, key] = node.args;
      const isTags = map.op === 'id' && map.args === 'tags';
      return isTags && key.op === 'value' && typeof key.args === 'string' ? key.args : undefined;
    }
    case '.': {
      const [parent, name] = node.args;
      if (parent.op === 'id' && parent.args === 'tags') return name;
      const prefix = parent.op === '[]' ? undefined : tagNameOf(parent);
      return prefix === undefined ? undefined : `${prefix}.${name}`;
    }
    default:
      return undefined;
  }
}

/** Returns whether both types are known, and not the same. */
function differ(a: Part, b: Part): boolean {
  return a.type !== b.type && a.type !== 'unknown' && b.type !== 'unknown';
}
