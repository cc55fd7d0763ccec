#!/usr/bin/env python3
"""The solver cvc5 of PyPI's wheel (`pip install cvc5`) as an executable that reads SMT-LIB: CVC5=$PWD/proofs/smtlib.py"""
import sys

import cvc5


def fresh():
    tm = cvc5.TermManager()
    solver, symbols = cvc5.Solver(tm), cvc5.SymbolManager(tm)
    return tm, solver, symbols, cvc5.InputParser(solver, symbols)


tm, solver, symbols, parser = fresh()
depth, text = 0, ""
for line in sys.stdin:
    text, depth = text + line, depth + line.count("(") - line.count(")")
    if depth > 0 or not text.strip():
        continue
    if text.strip() == "(reset)":
        tm, solver, symbols, parser = fresh()
    else:
        parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "stdin")
        while not (command := parser.nextCommand()).isNull():
            print(command.invoke(solver, symbols), end="", flush=True)
    text = ""
