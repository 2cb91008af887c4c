// Every thread of a threadgroup is a fiber: it runs until it meets a barrier, an operation of its simdgroup, or its end.
#pragma once
#include "state.h"

static void* scheduler_pointer;
extern "C" msl_thread* msl_current = nullptr;
static void (*kernel_entry)(const msl_arguments*);
static msl_arguments kernel_arguments;

#if defined(__x86_64__) && !defined(MSL_UCONTEXT)
// Saves what a call must keep, and changes stacks.
extern "C" void msl_switch(void** save, void* to);
asm(R"(.text
.globl msl_switch
.type msl_switch,@function
msl_switch:
 pushq %rbp
 pushq %rbx
 pushq %r12
 pushq %r13
 pushq %r14
 pushq %r15
 movq %rsp,(%rdi)
 movq %rsi,%rsp
 popq %r15
 popq %r14
 popq %r13
 popq %r12
 popq %rbx
 popq %rbp
 ret
.size msl_switch,.-msl_switch
)");
static void switch_to(void** save, void* to) { msl_switch(save, to); }
static void prepare(Fiber& f, void (*entry)()) {
    void** top = (void**)(((uintptr_t)f.stack + STACK) & ~15ull);
    *--top = nullptr; // a frame begins as if called: 8 short of 16
    *--top = (void*)entry;
    for (int i = 0; i < 6; i++) *--top = nullptr;
    f.stack_pointer = top;
}
#else
// Slower (a system call each time), the same everywhere.
static ucontext_t scheduler_context;
static std::vector<ucontext_t> contexts;
static void switch_to(void** save, void* to) { swapcontext((ucontext_t*)*save, (ucontext_t*)to); }
static void prepare(Fiber& f, void (*entry)()) {
    contexts.resize(fibers.size());
    ucontext_t& context = contexts[&f - fibers.data()];
    getcontext(&context);
    context.uc_stack.ss_sp = f.stack;
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
    f.stack_pointer = &context;
    scheduler_pointer = &scheduler_context;
}
#endif

// Back to the scheduler; returns when the fiber is resumed.
static void yield_fiber() {
    Fiber* f = current;
#ifdef MSL_BOUNDS
    void* shadow = nullptr;
    __sanitizer_start_switch_fiber(f->waiting == RETURNED ? nullptr : &shadow, nullptr, 0);
#endif
    switch_to(&f->stack_pointer, scheduler_pointer);
#ifdef MSL_BOUNDS
    __sanitizer_finish_switch_fiber(shadow, nullptr, nullptr);
#endif
}

static void fiber_main() {
#ifdef MSL_BOUNDS
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
    kernel_entry(&kernel_arguments);
    current->waiting = RETURNED;
    yield_fiber();
    abort();
}

static void resume(Fiber& f) {
    current = &f;
    msl_current = &f.thread;
#ifdef MSL_BOUNDS
    void* shadow;
    __sanitizer_start_switch_fiber(&shadow, f.stack, STACK);
#endif
    switch_to(&scheduler_pointer, f.stack_pointer);
#ifdef MSL_BOUNDS
    __sanitizer_finish_switch_fiber(shadow, nullptr, nullptr);
#endif
    current = nullptr;
}

static void make_fibers(uint32_t count) {
    fibers.resize(count);
    stacks_start = (char*)mmap(nullptr, count * (STACK + PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks_start == MAP_FAILED) msl_fail("no memory for the stacks of %u threads", count);
    for (uint32_t i = 0; i < count; i++) {
        fibers[i].stack = stacks_start + i * (STACK + PAGE) + PAGE;
        mprotect(fibers[i].stack - PAGE, PAGE, PROT_NONE);
    }
}
