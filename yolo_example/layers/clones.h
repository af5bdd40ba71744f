/* One clone of a function per instruction set, chosen when the library is loaded. */
#ifndef YOLO_CLONES_H
#define YOLO_CLONES_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define YOLO_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define YOLO_CLONES
#endif

#endif
