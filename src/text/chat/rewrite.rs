//! Templates as syntax trees, changed so that they pay for what they do.
//!
//! minijinja counts steps, but one step may concatenate, compare or repeat values of any size. So operands and inputs of such
//! steps go through filters that take their sizes from the [`Budget`](super::budget::Budget), and `+`, `*`, `%`,
//! `~` and slices, which also differ from Python's, become filters of our own. What is written out goes through the environment's formatter, literal text
//! included. A tree cannot be changed in place: this copies it.

use super::python::operators::{ITERATE, PLUS, REMAINDER, SLICE, STR, TIMES, TOUCH, WEIGH};
use minijinja::machinery::Span;
use minijinja::machinery::ast::*;
use minijinja::{Error, ErrorKind, Value};

/// How deep a tree may be. Chains of operators and of `elif` are as deep as they are long.
const DEPTH: usize = 1000;

/// Filters that look at all of what they are given, however deep.
const DEEP: &[&str] = &["dictsort", "groupby", "max", "min", "sort", "sum", "unique"];

/// The template with its costs.
pub(super) fn rewrite<'s>(template: &Stmt<'s>) -> Result<Stmt<'s>, Error> {
    Rewriter { depth: 0 }.statement(template)
}

/// `expression|name(arguments)`.
fn filtered<'s>(name: &'static str, expression: Expr<'s>, arguments: Vec<CallArg<'s>>) -> Expr<'s> {
    let span = expression.span();
    Expr::Filter(Spanned::new(Filter { name, expr: Some(expression), args: arguments }, span))
}

/// Literals are as long as the template says, and are paid for with its steps.
fn paid<'s>(name: &'static str, expression: Expr<'s>) -> Expr<'s> {
    let literal = matches!(&expression, Expr::Const(node) if !node.value.is_none());
    if literal { expression } else { filtered(name, expression, Vec::new()) }
}

fn constant<'s>(value: Value, span: Span) -> Expr<'s> {
    Expr::Const(Spanned::new(Const { value }, span))
}

/// What is assigned to: names, attributes, and lists of them.
fn target<'s>(expression: &Expr<'s>) -> Expr<'s> {
    match expression {
        Expr::Var(node) => Expr::Var(Spanned::new(Var { id: node.id }, node.span())),
        Expr::GetAttr(node) => {
            Expr::GetAttr(Spanned::new(GetAttr { expr: target(&node.expr), name: node.name }, node.span()))
        }
        Expr::List(node) => {
            Expr::List(Spanned::new(List { items: node.items.iter().map(target).collect() }, node.span()))
        }
        Expr::Tuple(node) => {
            Expr::Tuple(Spanned::new(Tuple { items: node.items.iter().map(target).collect() }, node.span()))
        }
        other => panic!("the parser let {} be assigned to", other.description()),
    }
}

struct Rewriter {
    depth: usize,
}

impl Rewriter {
    /// Goes one level down.
    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEPTH {
            let message = format!("expected expressions and blocks of at most {DEPTH} levels");
            return Err(Error::new(ErrorKind::SyntaxError, message));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn statements<'s>(&mut self, statements: &[Stmt<'s>]) -> Result<Vec<Stmt<'s>>, Error> {
        statements.iter().map(|statement| self.deeper(|own| own.statement(statement))).collect()
    }

    fn statement<'s>(&mut self, statement: &Stmt<'s>) -> Result<Stmt<'s>, Error> {
        Ok(match statement {
            Stmt::Template(node) => {
                Stmt::Template(Spanned::new(Template { children: self.statements(&node.children)? }, node.span()))
            }
            Stmt::EmitExpr(node) => {
                Stmt::EmitExpr(Spanned::new(EmitExpr { expr: self.expression(&node.expr)? }, node.span()))
            }
            Stmt::EmitRaw(node) => {
                let expr = constant(Value::from(node.raw), node.span());
                Stmt::EmitExpr(Spanned::new(EmitExpr { expr }, node.span()))
            }
            Stmt::ForLoop(node) => {
                let new = ForLoop {
                    target: target(&node.target),
                    iter: paid(ITERATE, self.expression(&node.iter)?),
                    filter_expr: self.optional(node.filter_expr.as_ref())?,
                    recursive: node.recursive,
                    body: self.statements(&node.body)?,
                    else_body: self.statements(&node.else_body)?,
                };
                Stmt::ForLoop(Spanned::new(new, node.span()))
            }
            Stmt::IfCond(node) => {
                let new = IfCond {
                    expr: self.expression(&node.expr)?,
                    true_body: self.statements(&node.true_body)?,
                    false_body: self.statements(&node.false_body)?,
                };
                Stmt::IfCond(Spanned::new(new, node.span()))
            }
            Stmt::WithBlock(node) => {
                let assignments = node.assignments.iter().map(|(to, value)| Ok((target(to), self.expression(value)?)));
                let assignments = assignments.collect::<Result<_, Error>>()?;
                Stmt::WithBlock(Spanned::new(
                    WithBlock { assignments, body: self.statements(&node.body)? },
                    node.span(),
                ))
            }
            Stmt::Set(node) => {
                let new = Set { target: target(&node.target), expr: self.expression(&node.expr)? };
                Stmt::Set(Spanned::new(new, node.span()))
            }
            Stmt::SetBlock(node) => {
                let new = SetBlock {
                    target: target(&node.target),
                    filter: self.optional(node.filter.as_ref())?,
                    body: self.statements(&node.body)?,
                };
                Stmt::SetBlock(Spanned::new(new, node.span()))
            }
            Stmt::AutoEscape(node) => {
                let new = AutoEscape { enabled: self.expression(&node.enabled)?, body: self.statements(&node.body)? };
                Stmt::AutoEscape(Spanned::new(new, node.span()))
            }
            Stmt::FilterBlock(node) => {
                let new = FilterBlock { filter: self.expression(&node.filter)?, body: self.statements(&node.body)? };
                Stmt::FilterBlock(Spanned::new(new, node.span()))
            }
            // There are no other templates: a block stands where it is, and nothing can be included.
            Stmt::Block(node) => Stmt::WithBlock(Spanned::new(
                WithBlock { assignments: Vec::new(), body: self.statements(&node.body)? },
                node.span(),
            )),
            Stmt::Extends(_) | Stmt::Include(_) | Stmt::Import(_) | Stmt::FromImport(_) => {
                let message = "a chat template stands alone: it cannot extend, include or import others";
                return Err(Error::new(ErrorKind::SyntaxError, message));
            }
            Stmt::Macro(node) => Stmt::Macro(self.declaration(node)?),
            Stmt::CallBlock(node) => {
                let new = CallBlock { call: self.call(&node.call)?, macro_decl: self.declaration(&node.macro_decl)? };
                Stmt::CallBlock(Spanned::new(new, node.span()))
            }
            Stmt::Continue(node) => Stmt::Continue(Spanned::new(Continue, node.span())),
            Stmt::Break(node) => Stmt::Break(Spanned::new(Break, node.span())),
            Stmt::Do(node) => Stmt::Do(Spanned::new(Do { call: self.call(&node.call)? }, node.span())),
        })
    }

    fn declaration<'s>(&mut self, node: &Spanned<Macro<'s>>) -> Result<Spanned<Macro<'s>>, Error> {
        let new = Macro {
            name: node.name,
            args: node.args.iter().map(target).collect(),
            defaults: self.expressions(&node.defaults)?,
            body: self.statements(&node.body)?,
        };
        Ok(Spanned::new(new, node.span()))
    }

    fn call<'s>(&mut self, node: &Spanned<Call<'s>>) -> Result<Spanned<Call<'s>>, Error> {
        let new = Call { expr: self.expression(&node.expr)?, args: self.arguments(&node.args)? };
        Ok(Spanned::new(new, node.span()))
    }

    fn arguments<'s>(&mut self, arguments: &[CallArg<'s>]) -> Result<Vec<CallArg<'s>>, Error> {
        let argument = |argument: &CallArg<'s>| {
            Ok(match argument {
                CallArg::Pos(value) => CallArg::Pos(self.expression(value)?),
                CallArg::Kwarg(name, value) => CallArg::Kwarg(name, self.expression(value)?),
                CallArg::PosSplat(value) => CallArg::PosSplat(self.touched(value)?),
                CallArg::KwargSplat(value) => CallArg::KwargSplat(self.expression(value)?),
            })
        };
        arguments.iter().map(argument).collect()
    }

    fn expressions<'s>(&mut self, expressions: &[Expr<'s>]) -> Result<Vec<Expr<'s>>, Error> {
        expressions.iter().map(|expression| self.expression(expression)).collect()
    }

    fn optional<'s>(&mut self, expression: Option<&Expr<'s>>) -> Result<Option<Expr<'s>>, Error> {
        expression.map(|expression| self.expression(expression)).transpose()
    }

    /// An expression whose value is looked at from outside.
    fn touched<'s>(&mut self, expression: &Expr<'s>) -> Result<Expr<'s>, Error> {
        Ok(paid(TOUCH, self.expression(expression)?))
    }

    /// An expression whose value is looked at altogether.
    fn weighed<'s>(&mut self, expression: &Expr<'s>) -> Result<Expr<'s>, Error> {
        Ok(paid(WEIGH, self.expression(expression)?))
    }

    fn expression<'s>(&mut self, expression: &Expr<'s>) -> Result<Expr<'s>, Error> {
        self.deeper(|own| own.expression_here(expression))
    }

    fn expression_here<'s>(&mut self, expression: &Expr<'s>) -> Result<Expr<'s>, Error> {
        let span = expression.span();
        Ok(match expression {
            Expr::Var(node) => Expr::Var(Spanned::new(Var { id: node.id }, span)),
            Expr::Const(node) => constant(node.value.clone(), span),
            Expr::Slice(node) => {
                let bounds = [&node.start, &node.stop, &node.step].map(|bound| match bound {
                    Some(bound) => self.expression(bound),
                    None => Ok(constant(Value::from(()), span)),
                });
                let bounds = bounds.into_iter().map(|bound| bound.map(CallArg::Pos)).collect::<Result<_, _>>()?;
                filtered(SLICE, self.expression(&node.expr)?, bounds)
            }
            Expr::UnaryOp(node) => {
                let op = if matches!(node.op, UnaryOpKind::Not) { UnaryOpKind::Not } else { UnaryOpKind::Neg };
                Expr::UnaryOp(Spanned::new(UnaryOp { op, expr: self.expression(&node.expr)? }, span))
            }
            Expr::BinOp(node) => self.operation(node)?,
            Expr::Compare(node) => {
                let operand = |compared: &CompareOp<'s>| {
                    let expr = self.compared(compared.op, &compared.expr)?;
                    Ok(CompareOp { op: compared.op, expr })
                };
                let ops = node.ops.iter().map(operand).collect::<Result<_, Error>>()?;
                Expr::Compare(Spanned::new(Compare { expr: self.weighed(&node.expr)?, ops }, span))
            }
            Expr::IfExpr(node) => {
                let new = IfExpr {
                    test_expr: self.expression(&node.test_expr)?,
                    true_expr: self.expression(&node.true_expr)?,
                    false_expr: self.optional(node.false_expr.as_ref())?,
                };
                Expr::IfExpr(Spanned::new(new, span))
            }
            Expr::Filter(node) => {
                let input = match &node.expr {
                    Some(input) if DEEP.contains(&node.name) => Some(self.weighed(input)?),
                    Some(input) => Some(self.touched(input)?),
                    // The text of a block.
                    None => None,
                };
                let new = Filter { name: node.name, expr: input, args: self.arguments(&node.args)? };
                Expr::Filter(Spanned::new(new, span))
            }
            Expr::Test(node) => {
                let new =
                    Test { name: node.name, expr: self.expression(&node.expr)?, args: self.arguments(&node.args)? };
                Expr::Test(Spanned::new(new, span))
            }
            Expr::GetAttr(node) => {
                Expr::GetAttr(Spanned::new(GetAttr { expr: self.expression(&node.expr)?, name: node.name }, span))
            }
            Expr::GetItem(node) => {
                let new =
                    GetItem { expr: self.touched(&node.expr)?, subscript_expr: self.expression(&node.subscript_expr)? };
                Expr::GetItem(Spanned::new(new, span))
            }
            Expr::Call(node) => Expr::Call(self.call(node)?),
            // What is built here may hold the same list many times over.
            Expr::List(node) => {
                paid(WEIGH, Expr::List(Spanned::new(List { items: self.expressions(&node.items)? }, span)))
            }
            Expr::Tuple(node) => {
                paid(WEIGH, Expr::Tuple(Spanned::new(Tuple { items: self.expressions(&node.items)? }, span)))
            }
            Expr::Map(node) => {
                let new = Map { keys: self.expressions(&node.keys)?, values: self.expressions(&node.values)? };
                paid(WEIGH, Expr::Map(Spanned::new(new, span)))
            }
        })
    }

    fn operation<'s>(&mut self, node: &Spanned<BinOp<'s>>) -> Result<Expr<'s>, Error> {
        let (left, right) = match node.op {
            BinOpKind::Add | BinOpKind::Mul | BinOpKind::Rem => {
                let name = match node.op {
                    BinOpKind::Add => PLUS,
                    BinOpKind::Mul => TIMES,
                    _ => REMAINDER,
                };
                let right = CallArg::Pos(self.expression(&node.right)?);
                return Ok(filtered(name, self.expression(&node.left)?, vec![right]));
            }
            BinOpKind::Concat => {
                let operands = (self.expression(&node.left)?, self.expression(&node.right)?);
                (filtered(STR, operands.0, Vec::new()), filtered(STR, operands.1, Vec::new()))
            }
            BinOpKind::In => (self.weighed(&node.left)?, self.compared(CompareOpKind::In, &node.right)?),
            BinOpKind::Eq | BinOpKind::Ne | BinOpKind::Lt | BinOpKind::Lte | BinOpKind::Gt | BinOpKind::Gte => {
                (self.weighed(&node.left)?, self.weighed(&node.right)?)
            }
            BinOpKind::ScAnd
            | BinOpKind::ScOr
            | BinOpKind::Sub
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Pow => (self.expression(&node.left)?, self.expression(&node.right)?),
        };
        Ok(Expr::BinOp(Spanned::new(BinOp { op: node.op, left, right }, node.span())))
    }

    /// The right operand of a comparison. To look a key up in a map costs nothing, whatever the map holds.
    fn compared<'s>(&mut self, op: CompareOpKind, operand: &Expr<'s>) -> Result<Expr<'s>, Error> {
        match op {
            CompareOpKind::In | CompareOpKind::NotIn => self.touched(operand),
            _ => self.weighed(operand),
        }
    }
}
