#pragma once

namespace ark {

/// Gives memory that was freed back to the kernel. malloc keeps it otherwise, megabytes for as long
/// as the process lives. Takes some milliseconds: for the end of a piece of work, or when idle.
void give_back_freed_memory() noexcept;

}  // namespace ark
